"""The body of a request: to the disk within limits of size, speed and room."""

import asyncio

import pytest
from bedside.service.refusal import RefusedError
from bedside.service.settings import Settings
from bedside.service.upload import declared_bytes, receive


async def parts(*given, seconds=0.0):
    for part in given:
        await asyncio.sleep(seconds)
        yield part


def received(body, target, **limits):
    return asyncio.run(receive(body, target, Settings(**limits)))


def status_of(call, *given, **limits):
    with pytest.raises(RefusedError) as refused:
        call(*given, **limits)
    return refused.value.status


def test_all_parts_reach_the_disk_in_their_order(tmp_path):
    blocks = [bytes([number]) * 700_000 for number in range(5)]
    assert received(parts(*blocks), tmp_path / "a") == 3_500_000
    assert (tmp_path / "a").read_bytes() == b"".join(blocks)


def test_more_than_the_limit_is_refused_when_it_comes(tmp_path):
    assert status_of(received, parts(b"x" * 60, b"x" * 60), tmp_path / "a", upload_bytes=100) == 413


def test_nothing_is_refused(tmp_path):
    assert status_of(received, parts(), tmp_path / "a") == 422


def test_a_client_that_stops_is_given_up(tmp_path):
    assert status_of(received, parts(b"x", b"x", seconds=0.3), tmp_path / "a", grace_seconds=0.1) == 408


def test_a_client_that_trickles_is_given_up(tmp_path):
    trickle = parts(*[b"x"] * 100, seconds=0.02)
    assert status_of(received, trickle, tmp_path / "a", grace_seconds=0.2, slowest=1000) == 408


def test_a_steady_client_is_served_beyond_the_grace(tmp_path):
    steady = parts(*[b"x" * 1000] * 20, seconds=0.02)
    assert received(steady, tmp_path / "a", grace_seconds=0.2, slowest=100) == 20_000


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("bedside.service.upload._LOOKED_AT", 1)
    monkeypatch.setattr("bedside.service.disk_room.FREE_BYTES", 2**62)
    assert status_of(received, parts(b"x" * 10), tmp_path / "a") == 503


@pytest.mark.parametrize(
    ("length", "status"), [("101", 413), ("9" * 30, 413), ("-1", 400), ("1e3", 400), ("٣", 400), ("0", 422)]
)
def test_lengths_that_are_refused(length, status):
    assert status_of(declared_bytes, length, Settings(upload_bytes=100)) == status


def test_lengths_that_are_taken():
    assert [declared_bytes(length, Settings(upload_bytes=100)) for length in (None, "1", "100")] == [0, 1, 100]
