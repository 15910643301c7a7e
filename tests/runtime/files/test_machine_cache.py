from __future__ import annotations

import logging
import os
import stat

import msgspec
import pytest
from bedside.runtime.files.machine_cache import MachineCache


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache's folder, not made yet."""
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def kept(folder):
    """The file of a record of the number 7 under the key "k"."""
    MachineCache.of_this_user().write("k", Note(7))
    (file,) = folder.iterdir()
    return file


def read(key="k"):
    return MachineCache.of_this_user().read(key, Note)


def test_a_record_comes_back_under_its_key_only(kept):
    assert read() == Note(7)
    assert read("K") is None


def test_a_later_record_takes_the_place_of_the_first(kept):
    MachineCache.of_this_user().write("k", Note(8))
    assert read() == Note(8)


def test_folder_and_records_are_the_users_alone(kept, folder):
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, kept)] == [0o700, 0o600]


@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_a_lax_umask_does_not_spoil_our_own_records(folder, umask):
    before = os.umask(umask)
    try:
        MachineCache.of_this_user().write("k", Note(7))
    finally:
        os.umask(before)
    assert read() == Note(7)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"number": "7"}', b'{"number": 7, "more": 1}', b"\xff\xfe", b"[" * 90_000, b" " * 100_001 + b"{}"],
    ids=["empty", "cut", "type", "unknown field", "not text", "deep", "large"],
)
def test_a_damaged_record_is_left_aside_and_told(kept, content, caplog):
    kept.write_bytes(content)
    with caplog.at_level(logging.INFO, "bedside"):
        assert read() is None
    assert "cached choice of this machine rejected, measuring again" in caplog.text


def test_a_record_that_others_may_write_is_left_aside(kept, caplog):
    kept.chmod(0o666)
    with caplog.at_level(logging.INFO, "bedside"):
        assert read() is None
    assert "others may write to it" in caplog.text


def test_a_record_of_another_user_is_left_aside(kept, monkeypatch, caplog):
    cache = MachineCache.of_this_user()
    monkeypatch.setattr(os, "geteuid", lambda: kept.stat().st_uid + 1)
    with caplog.at_level(logging.INFO, "bedside"):
        assert cache.read("k", Note) is None
    assert "it belongs to another user" in caplog.text


def test_a_link_or_a_pipe_in_place_of_a_record_is_not_followed(kept, tmp_path):
    elsewhere = kept.rename(tmp_path / "elsewhere.json")
    kept.symlink_to(elsewhere)
    assert read() is None
    kept.unlink()
    os.mkfifo(kept, 0o600)  # would wait for a writer for ever
    assert read() is None


@pytest.mark.parametrize("spoil", ["foreign", "lax", "file"])
def test_a_folder_that_is_not_ours_alone_is_not_used(folder, monkeypatch, caplog, spoil):
    if spoil == "file":
        folder.write_text("in the way")
    else:
        folder.mkdir(mode=0o700)
    if spoil == "lax":
        folder.chmod(0o777)
    if spoil == "foreign":
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with caplog.at_level(logging.INFO, "bedside"):
        MachineCache.of_this_user().write("k", Note(7))
    assert caplog.text.count("working without the cache of this machine") == 1
    assert not folder.is_dir() or list(folder.iterdir()) == []


def test_a_disk_that_is_full_is_told_and_nothing_more(folder, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    cache = MachineCache.of_this_user()
    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.INFO, "bedside"):
        cache.write("k", Note(7))
    assert "No space left on device" in caplog.text
    assert list(folder.iterdir()) == []


def test_what_was_compiled_comes_back_with_its_hash_only(folder):
    cache = MachineCache.of_this_user()
    digest = cache.write_compiled(b"code")
    assert cache.read_compiled(digest) == b"code"
    assert cache.read_compiled(digest[::-1]) is None
    assert cache.read_compiled("") is None
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o660)
    assert cache.read_compiled(digest) is None


def test_what_was_compiled_and_altered_is_not_taken(folder, caplog):
    cache = MachineCache.of_this_user()
    digest = cache.write_compiled(b"code")
    (folder / f"{digest}.compiled").write_bytes(b"c0de")
    with caplog.at_level(logging.INFO, "bedside"):
        assert cache.read_compiled(digest) is None
    assert "its hash is not the recorded one" in caplog.text


def test_two_that_compile_the_same_do_not_spoil_each_others(folder):
    """Engines need not compile to the same bytes twice; each record names its own."""
    cache = MachineCache.of_this_user()
    first, second = cache.write_compiled(b"once"), cache.write_compiled(b"twice")
    assert (cache.read_compiled(first), cache.read_compiled(second)) == (b"once", b"twice")


@pytest.mark.parametrize("told", ["../secret", "/etc/passwd", "a" * 63, "A" * 64])
def test_a_record_cannot_name_another_file(folder, told):
    cache = MachineCache.of_this_user()
    assert cache.read_compiled(told) is None


def test_the_log_has_no_path(tmp_path, monkeypatch, caplog):
    (tmp_path / "doe").write_text("a file in the way")
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "doe"))
    with caplog.at_level(logging.INFO, "bedside"):
        MachineCache.of_this_user()
    assert "File exists" in caplog.text
    assert "doe" not in caplog.text
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "own"))
    cache = MachineCache.of_this_user()
    cache.write("k", Note(7))
    (record,) = (tmp_path / "own").iterdir()
    record.rename(tmp_path / "elsewhere")
    record.symlink_to(tmp_path / "elsewhere")
    caplog.clear()
    with caplog.at_level(logging.INFO, "bedside"):
        cache.read("k", Note)
    assert "measuring again" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_of_what_was_compiled_the_oldest_makes_room(folder):
    cache = MachineCache.of_this_user()
    digests = {}
    for number in range(17):
        digests[number] = cache.write_compiled(b"%d" % number)
        for file in folder.iterdir():
            os.utime(file, (file.stat().st_mtime - 10,) * 2)
    assert [cache.read_compiled(digest) for digest in digests.values()] == [
        None,
        *(b"%d" % number for number in range(1, 17)),
    ]


@pytest.mark.parametrize("home", ["none", "", "relative"])
def test_a_home_that_is_not_there_is_not_made(tmp_path, monkeypatch, caplog, home):
    """Services are given such homes, "/nonexistent" on Debian, and may run as root, who could make them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative").mkdir()
    monkeypatch.delenv("BEDSIDE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / home) if home == "none" else home)
    with caplog.at_level(logging.INFO, "bedside"):
        MachineCache.of_this_user().write("k", Note(7))
    assert "the user has no home folder" in caplog.text
    assert [path.name for path in tmp_path.rglob("*")] == ["relative"]


def test_off_keeps_nothing_and_says_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BEDSIDE_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "bedside"):
        MachineCache.of_this_user().write("k", Note(7))
        assert read() is None
    assert (caplog.text, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize(
    ("xdg", "where"), [("{}/xdg", "xdg/bedside"), ("", "home/.cache/bedside"), ("relative", "home/.cache/bedside")]
)
def test_without_a_wish_it_lies_where_the_system_keeps_caches(tmp_path, monkeypatch, xdg, where):
    monkeypatch.delenv("BEDSIDE_CACHE")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", xdg.format(tmp_path))
    MachineCache.of_this_user().write("k", Note(7))
    assert len(list((tmp_path / where).iterdir())) == 1
