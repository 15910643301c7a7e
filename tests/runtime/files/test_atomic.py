from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import ExitCode, ResourceError
from bedside.runtime.files import atomic
from bedside.runtime.files.atomic import atomic_directory, atomic_write


def test_the_new_file_is_there_only_after_the_block(tmp_path):
    final = tmp_path / "a.nii.gz"
    with atomic_write(final) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        assert not final.exists()
    assert final.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path, failure):
    final = tmp_path / "a.txt"
    final.write_text("old")
    with pytest.raises(failure), atomic_write(final) as temporary:  # noqa: PT012 - the block is what fails
        temporary.write_text("half")
        raise failure
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize("path", ["gone/a.txt", "gone/deeper/a.txt"])
def test_a_missing_folder_is_named(tmp_path, path):
    with (
        pytest.raises(ResourceError, match=r'^"a\.txt": cannot be written: there is no folder "gone"; make it$'),
        atomic_write(tmp_path / path),
    ):
        pass
    (tmp_path / "gone").touch()
    with pytest.raises(ResourceError, match='there is no folder "gone"'), atomic_write(tmp_path / path):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["gone"]


@pytest.mark.parametrize("call", ["fsync", "replace", "touch", "open"])
def test_a_fault_in_any_system_call_is_a_resource_error(tmp_path, monkeypatch, call):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    final = tmp_path / "a.txt"
    final.write_text("old")
    monkeypatch.setattr(*{"fsync": (os, "fsync"), "open": (os, "open")}.get(call, (Path, call)), full)
    with pytest.raises(ResourceError, match="No space left") as caught, atomic_write(final) as temporary:
        temporary.write_bytes(b"half") if call != "open" else None
    monkeypatch.undo()
    assert caught.value.exit_code == ExitCode.RESOURCE == 5
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_an_array_that_a_full_disk_took_in_part_is_a_resource_error_that_says_so(tmp_path):
    with (
        pytest.raises(ResourceError, match=r'"a\.npy": cannot be written \(only in part: the disk may be full\)'),
        atomic_write(tmp_path / "a.npy"),
        Path("/dev/full").open("wb") as full,
    ):
        np.zeros(100_000).tofile(full)


def test_file_and_folder_are_flushed_in_order(tmp_path, monkeypatch):
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert calls == ["fsync file", "rename", "fsync folder"]


def test_a_missing_folder_and_a_folder_in_the_way_are_refused_without_the_full_path(tmp_path):
    for path in (tmp_path / "none" / "a.txt", tmp_path):
        with pytest.raises(ResourceError) as caught, atomic_write(path):
            pass
        assert str(tmp_path.parent) not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_device_is_never_replaced():
    with pytest.raises(ResourceError, match="device"), atomic_write("/dev/null"):
        pass
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_directory_is_put_in_place_whole(tmp_path):
    with atomic_directory(tmp_path / "b") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "file").write_text("1")
        assert not (tmp_path / "b").exists()
    assert (tmp_path / "b" / "sub" / "file").read_text() == "1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_an_existing_directory_is_replaced_not_merged(tmp_path):
    for name in ("one", "two"):
        with atomic_directory(tmp_path / "b") as temporary:
            (temporary / name).touch()
    assert [entry.name for entry in (tmp_path / "b").iterdir()] == ["two"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_a_failed_directory_leaves_the_old_one(tmp_path):
    with atomic_directory(tmp_path / "b") as temporary:
        (temporary / "old").touch()
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "b") as temporary:
        raise RuntimeError
    assert [entry.name for entry in (tmp_path / "b").iterdir()] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_is_not_ours_is_not_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    with pytest.raises(ResourceError, match="other files"), atomic_directory(tmp_path / "home", marker="bundle.json"):
        pass
    assert (tmp_path / "home" / "thesis.txt").exists()


def test_a_file_in_the_way_of_a_directory_is_refused(tmp_path):
    (tmp_path / "b").write_text("file")
    with pytest.raises(ResourceError, match="expected a folder"), atomic.atomic_directory(tmp_path / "b"):
        pass
    assert (tmp_path / "b").read_text() == "file"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_what_only_its_owner_might_read_stays_so(tmp_path):
    (tmp_path / "labels.nii").touch(0o600)
    (tmp_path / "bundle").mkdir(0o700)
    with atomic_write(tmp_path / "labels.nii"), atomic_directory(tmp_path / "bundle"):
        pass
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"labels.nii": 0o600, "bundle": 0o700}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_file_that_was_read_only_is_replaced_and_may_be_written_from_then_on(tmp_path):
    (tmp_path / "a").touch(0o444)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_file_system_that_flushes_no_folders_is_written_to(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new"
