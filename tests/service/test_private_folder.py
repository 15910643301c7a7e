"""The private folder of a service: made, locked, removed, and told from those that killed services left."""

import os
import re
import time
from contextlib import ExitStack

import pytest
from bedside.runtime import ResourceError
from bedside.runtime.files import temporaries
from bedside.runtime.files.lock import Lock
from bedside.runtime.files.temporaries import temporary_name
from bedside.service import private_folder as module
from bedside.service.private_folder import private_folder


def elsewhere():
    """The name of a folder of another boot of this machine, or of another container."""
    return re.sub("bedside-[0-9a-f]{8}", "bedside-00000000", temporary_name(".serve"), count=1)


@pytest.fixture
def left(tmp_path):
    """The folder of a service that was killed before the machine was started again."""
    (folder := tmp_path / elsewhere()).mkdir(mode=0o700)
    (folder / "scan.nii").write_text("of a patient")
    return folder


def test_what_a_service_left_goes_with_the_next_start_also_after_another_boot(tmp_path, left):
    with private_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_running_service_stays_also_that_of_another_container(tmp_path, monkeypatch):
    with private_folder(tmp_path) as theirs:
        (theirs / "scan.nii").touch()
        monkeypatch.setattr(temporaries, "_place", lambda: "00000000")
        with private_folder(tmp_path) as ours:
            assert ours != theirs
            assert (theirs / "scan.nii").exists()
        assert list(tmp_path.iterdir()) == [theirs]


def test_a_folder_has_its_lock_before_it_has_its_name(tmp_path, monkeypatch):
    """Another service that starts just now sees a folder without a lock as one that was left."""
    real, seen = module.acquire_lock, []

    def acquired(descriptor, *, wait):
        seen.append([path.name for path in tmp_path.glob("*.serve")])
        return real(descriptor, wait=wait)

    monkeypatch.setattr(module, "acquire_lock", acquired)
    with private_folder(tmp_path) as folder:
        assert seen == [[]]
        assert list(tmp_path.iterdir()) == [folder]


def test_without_locks_age_tells(tmp_path, left, monkeypatch):
    monkeypatch.setattr(module, "acquire_lock", lambda descriptor, *, wait: Lock.UNSUPPORTED)
    with private_folder(tmp_path):
        assert left.exists()
    os.utime(left, (then := time.time() - 8 * 86_400, then))
    with private_folder(tmp_path):
        assert not left.exists()


def test_a_link_of_such_a_name_is_not_followed(tmp_path):
    (target := tmp_path / "target").mkdir()
    (target / "thesis.txt").touch()
    (tmp_path / elsewhere()).symlink_to(target)
    with private_folder(tmp_path):
        assert (target / "thesis.txt").exists()


def test_other_temporaries_are_not_its_concern(tmp_path):
    (other := tmp_path / elsewhere().replace(".serve", ".new")).mkdir()
    with private_folder(tmp_path):
        assert other.exists()


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "rename", full)
    with ExitStack() as opened, pytest.raises(ResourceError, match=r"No space left on device.*--folder"):
        opened.enter_context(private_folder(tmp_path))
    assert list(tmp_path.iterdir()) == []
