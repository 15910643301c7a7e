"""A part of a file, and what is refused, in the form of every refusal."""

import asyncio

import httpx
import pytest
from bedside.service.file_answer import FileAnswer
from starlette.responses import FileResponse


@pytest.fixture
def asked(tmp_path):
    """Asks for a file of ten bytes with a header Range."""
    (file := tmp_path / "labels").write_bytes(b"0123456789")
    transport = httpx.ASGITransport(FileAnswer(file, "application/gzip", "labels.nii.gz"))

    async def ask(part):
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/", headers={"Range": part})

    return lambda part: asyncio.run(ask(part))


def test_a_part_is_sent_as_it_is(asked):
    answer = asked("bytes=2-4")
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


@pytest.mark.parametrize("part", ["bytes=5-2", "lines=1-2", "bytes=x"])
def test_what_is_no_range_is_refused_as_everything_else(asked, part):
    answer = asked(part)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2)
    assert "expected bytes=FIRST-LAST" in answer.json()["error"]["message"]


def test_a_range_beyond_the_end_is_refused_with_the_size(asked):
    answer = asked("bytes=99-")
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, 2)
    assert answer.headers["content-range"] == "bytes */10"
    assert answer.headers["content-type"] == "application/json"


def test_a_file_that_is_removed_meanwhile_is_refused_all_the_same(tmp_path, monkeypatch):
    (file := tmp_path / "labels").write_bytes(b"0123456789")
    answer = FileAnswer(file, "application/gzip", "labels.nii.gz")
    sent = []

    async def send(message):
        sent.append(message)

    async def removed(self, scope, receive, send):
        file.unlink()
        headers = [(b"content-range", b"bytes */10")]
        await send({"type": "http.response.start", "status": 416, "headers": headers})

    monkeypatch.setattr(FileResponse, "__call__", removed)
    asyncio.run(answer({"type": "http"}, None, send))
    assert sent[0]["status"] == 416
    assert (b"content-range", b"bytes */10") in sent[0]["headers"]
