"""The last failures are kept without messages and arguments, in the machine's cache alone."""

from __future__ import annotations

import pytest
from bedside.cli.main import run
from bedside.runtime.errors import InputError
from bedside.runtime.recent_failures import note_failure, recent_failures

CANARY = "Zzyzx_Qwfp"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_failed_command_is_kept_with_kind_code_and_place(cache, bundle_path, tmp_path):
    scan = tmp_path / f"{CANARY}.nii.gz"
    scan.write_bytes(b"no scan")
    assert run(["segment", str(bundle_path), "-i", str(scan), "-o", str(tmp_path / "o.nii.gz")]) == 3
    (failure,) = recent_failures()
    assert (failure.command, failure.exit_code, failure.kind) == ("segment", 3, "InputError")
    assert failure.place.startswith("runtime/scans/")
    kept = b"".join(file.read_bytes() for file in cache.rglob("*") if file.is_file())
    assert CANARY.encode() not in kept
    assert str(tmp_path).encode() not in kept


def test_only_the_last_twenty_are_kept(cache):
    for number in range(25):
        note_failure("segment", InputError(CANARY), number)
    assert [failure.exit_code for failure in recent_failures()] == list(range(5, 25))


def test_without_a_cache_nothing_is_kept(monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", "off")
    note_failure("segment", InputError("x"), 3)
    assert recent_failures() == ()


def test_a_damaged_file_is_no_failure_of_its_own(cache):
    note_failure("segment", InputError("x"), 3)
    for file in cache.glob("*.json"):
        file.write_bytes(b"{")
    note_failure("inspect", InputError("x"), 4)
    assert [failure.command for failure in recent_failures()] == ["inspect"]
