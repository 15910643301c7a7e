"""What the machine lacks is never said to be a fault of a file, whatever reads it."""

from __future__ import annotations

import errno
import os
import zlib

import numpy as np
import pytest
from bedside.runtime import Bundle, read_labels, read_volume
from bedside.runtime.bundles.outputs import check_writable
from bedside.runtime.bundles.trusted_keys import read_key_file
from bedside.runtime.bundles.verification import verify_bundle
from bedside.runtime.engines.model_bytes import model_bytes
from bedside.runtime.errors import InputError, ResourceError
from bedside.runtime.files.text import read_utf8
from bedside.runtime.scans.byte_stream import Identity
from bedside.runtime.scans.file_kind import has_nifti_magic, is_dicom, is_dicom_series, kind_of_file, remnant
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.scans.patient_folder import PatientFolder
from bedside.runtime.scans.unchanged_file import unchanged_sha256
from bedside.runtime.shortage import raise_shortage

from .small_scan import GRID


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "x: memory ran out; free some, then try again"),
        (zlib.error("Error -4 while decompressing data"), "x: memory ran out; free some, then try again"),
        (OSError(errno.ENOMEM, "n"), "x: memory ran out; free some, then try again"),
        (
            OSError(errno.EMFILE, "n"),
            "x: Too many open files; close some, or raise their limit (ulimit -n), then try again",
        ),
        (
            OSError(errno.ENFILE, "n"),
            "x: Too many open files in system; close some, or raise their limit (ulimit -n), then try again",
        ),
        (OSError(errno.EIO, "n"), "x: Input/output error; check the disk or the network share, then try again"),
        (OSError(errno.ESTALE, "n"), "x: Stale file handle; check the disk or the network share, then try again"),
        (ResourceError("as it is"), "as it is"),
    ],
)
def test_what_the_machine_lacks_is_a_resource_error(error, message):
    with pytest.raises(ResourceError) as caught:
        raise_shortage(error, "x")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "n"),
        PermissionError(errno.EACCES, "n"),
        zlib.error("Error -3 while"),
        ValueError(),
        InputError(),
    ],
)
def test_what_is_wrong_with_the_file_is_left_to_the_reader(error):
    raise_shortage(error, "x")


READERS = {
    "a scan": lambda folder: read_volume(folder / "ct.nii.gz"),
    "a label map": lambda folder: read_labels(folder / "ct.nii.gz"),
    "a hash": lambda folder: unchanged_sha256(folder / "ct.nii.gz", Identity.of((folder / "ct.nii.gz").stat())),
    "DICOM": lambda folder: is_dicom(folder / "ct.nii.gz"),
    "a folder of DICOM": is_dicom_series,
    "NIfTI": lambda folder: has_nifti_magic(folder / "ct.nii.gz"),
    "a kind": lambda folder: kind_of_file(folder / "ct.nii.gz"),
    "a remnant": lambda folder: remnant(folder / "ct.nii.gz"),
    "a text": lambda folder: read_utf8(folder / "text", "the text"),
    "a patient": PatientFolder.of,
    "a network": lambda folder: model_bytes(folder / "text"),
    "a key": lambda folder: read_key_file(folder / "text"),
    "an earlier result": lambda folder: check_writable(folder / "text", marks=["text"]),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_without_file_descriptors_no_reader_blames_the_file(tmp_path, no_descriptors, read):
    write_volume(tmp_path / "ct.nii.gz", np.zeros(GRID.shape, np.uint8), GRID)
    (tmp_path / "text").write_text("text")
    read(tmp_path)
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        read(tmp_path)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOMEM])
def test_a_disk_that_fails_does_not_make_a_bundle_an_altered_one(bundle_path, monkeypatch, code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    bundle = Bundle.open(bundle_path)
    monkeypatch.setattr("pathlib.Path.open", fail)
    with pytest.raises(ResourceError):
        verify_bundle(bundle_path, "b")
    with pytest.raises(ResourceError):
        bundle.read("golden_input.npy")


def test_without_file_descriptors_no_bundle_is_refused(bundle_path, no_descriptors):
    Bundle.open(bundle_path)
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        Bundle.open(bundle_path)
