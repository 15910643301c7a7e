"""The hash of a file is that of the file whose header was read, or there is none."""

import hashlib

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.byte_stream import Identity
from bedside.runtime.scans.unchanged_file import unchanged_sha256


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "ct.nii").write_bytes(b"scan")
    return tmp_path / "ct.nii", Identity.of((tmp_path / "ct.nii").stat())


def test_a_file_that_stayed_as_it_was_is_hashed(opened):
    assert unchanged_sha256(*opened) == hashlib.sha256(b"scan").hexdigest()


@pytest.mark.parametrize("how", ["replaced", "longer", "gone"])
def test_a_file_that_is_another_by_now_is_refused(opened, tmp_path, how):
    path, identity = opened
    if how == "replaced":
        (tmp_path / "new").write_bytes(b"scan")
        (tmp_path / "new").replace(path)
    elif how == "longer":
        path.write_bytes(b"scan, with more planes")
    else:
        path.unlink()
    with pytest.raises(InputError, match=r'"ct\.nii": (cannot be read|the file was changed)'):
        unchanged_sha256(path, identity)
