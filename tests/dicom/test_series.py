"""A series has the values and places that its slices say, however they are stored."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pydicom
import pytest
from bedside.dicom import open_series
from bedside.runtime.errors import InputError, ResourceError
from bedside.runtime.scans.scan import Scan
from bedside.runtime.scans.volume import Volume
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from .written_series import SHAPE, SPACING, STEP, numbers, write_enhanced, write_series


def loaded(path, **options) -> Volume:
    return Scan(open_series(path, **options)).load()


def by_dcm2niix(folder: Path, out: Path) -> nib.Nifti1Image:
    """The one volume that dcm2niix makes of a folder, in the axes closest to RAS."""
    out.mkdir()
    subprocess.run([dcm2niix.bin, "-z", "y", "-o", out, "-f", "scan", folder], check=True, capture_output=True)
    (file,) = out.glob("scan*.nii.gz")
    return nib.as_closest_canonical(nib.load(file))


def same_as_dcm2niix(volume: Volume, folder: Path, out: Path) -> bool:
    expected = by_dcm2niix(folder, out)
    own = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(volume.data, np.float64), volume.grid.affine))
    return np.allclose(own.affine, expected.affine, atol=1e-4) and np.array_equal(own.dataobj, expected.get_fdata())


def test_values_and_places_of_an_axial_series(tmp_path):
    write_series(tmp_path / "ct")
    volume = loaded(tmp_path / "ct")
    assert volume.data.dtype == np.int16
    assert np.array_equal(volume.data, numbers().transpose(2, 1, 0))
    expected = np.diag([-SPACING[1], -SPACING[0], STEP, 1])
    expected[:3, 3] = 30, 40, 100
    assert np.allclose(volume.grid.affine, expected)


@pytest.mark.parametrize("axes", itertools.permutations(range(3), 2), ids=str)
@pytest.mark.parametrize("signs", itertools.product((1, -1), repeat=3), ids=str)
def test_every_orientation_is_that_of_dcm2niix(tmp_path, axes, signs):
    row, column = np.eye(3)[axes[0]] * signs[0], np.eye(3)[axes[1]] * signs[1]
    step = np.cross(row, column) * STEP * signs[2]
    write_series(tmp_path / "ct", row=row, column=column, step=step)
    volume = loaded(tmp_path / "ct")
    assert same_as_dcm2niix(volume, tmp_path / "ct", tmp_path / "out")


def test_an_oblique_series_is_that_of_dcm2niix(tmp_path):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    write_series(tmp_path / "ct", row=turn[0].round(6), column=turn[1].round(6))
    volume = loaded(tmp_path / "ct")
    assert volume.grid.is_oblique
    assert not volume.grid.is_sheared
    assert same_as_dcm2niix(volume, tmp_path / "ct", tmp_path / "out")


def test_a_gantry_tilt_is_a_sheared_grid_whatever_the_tag_says(tmp_path):
    def wrong_tag(made, _):
        made.GantryDetectorTilt = -3

    angle = np.radians(15)
    column, step = (0, np.cos(angle), np.sin(angle)), (0, 0, STEP)
    write_series(tmp_path / "ct", column=column, step=step, change=wrong_tag)
    grid = loaded(tmp_path / "ct").grid
    assert grid.shear_degrees == pytest.approx(15, abs=1e-4)
    assert np.allclose(grid.affine[:3, 2], (0, 0, STEP))


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, 0, np.int16), (1, -1024, np.float32), (0.5, 3, np.float32)]
)
def test_values_are_rescaled(tmp_path, slope, intercept, dtype):
    def scaled(made, _):
        made.RescaleSlope, made.RescaleIntercept = slope, intercept

    write_series(tmp_path / "ct", change=scaled)
    volume = loaded(tmp_path / "ct")
    assert volume.data.dtype == dtype
    assert np.array_equal(volume.data, numbers().transpose(2, 1, 0) * slope + intercept)


def test_every_slice_has_its_own_scaling(tmp_path):
    def scaled(made, number):
        made.RescaleSlope, made.RescaleIntercept = number + 1, 0

    write_series(tmp_path / "ct", change=scaled)
    expected = numbers() * np.arange(1, SHAPE[0] + 1)[:, None, None]
    assert np.array_equal(loaded(tmp_path / "ct").data, expected.transpose(2, 1, 0))


def test_unsigned_values_above_32767_stay_positive(tmp_path):
    values = (numbers().astype(np.int32) + 40_000).astype(np.uint16)
    write_series(tmp_path / "ct", values=values)
    volume = loaded(tmp_path / "ct")
    assert volume.data.dtype == np.uint16
    assert np.array_equal(volume.data, values.transpose(2, 1, 0))


def test_monochrome1_says_how_values_are_shown_and_changes_none(tmp_path):
    def inverted(made, _):
        made.PhotometricInterpretation = "MONOCHROME1"

    write_series(tmp_path / "ct", change=inverted)
    assert np.array_equal(loaded(tmp_path / "ct").data, numbers().transpose(2, 1, 0))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless], ids=lambda uid: uid.name)
def test_lossless_compression_changes_nothing(tmp_path, syntax):
    write_series(tmp_path / "ct", values=numbers((5, 32, 32)), change=lambda made, _: made.compress(syntax))
    assert np.array_equal(loaded(tmp_path / "ct").data, numbers((5, 32, 32)).transpose(2, 1, 0))


def test_implicit_value_representations_change_nothing(tmp_path):
    def implicit(made, _):
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    write_series(tmp_path / "ct", change=implicit)
    assert np.array_equal(loaded(tmp_path / "ct").data, numbers().transpose(2, 1, 0))


def test_big_endian_changes_nothing(tmp_path):
    write_series(tmp_path / "ct", big_endian=True)
    volume = loaded(tmp_path / "ct")
    assert volume.data.dtype.isnative
    assert np.array_equal(volume.data, numbers().transpose(2, 1, 0))


def test_files_without_preamble_and_file_meta_are_read(tmp_path):
    (tmp_path / "ct").mkdir()
    for file in write_series(tmp_path / "plain"):
        made = pydicom.dcmread(file)
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.preamble = None
        pydicom.dcmwrite(tmp_path / "ct" / file.name, made, implicit_vr=True, little_endian=True)
    assert (tmp_path / "ct" / "IM0000.dcm").read_bytes()[128:132] != b"DICM"
    assert np.array_equal(loaded(tmp_path / "ct").data, numbers().transpose(2, 1, 0))


def test_frames_of_an_enhanced_file_are_put_in_order(tmp_path):
    file = write_enhanced(tmp_path / "ct.dcm", order=[3, 0, 4, 1, 2])
    volume = loaded(file)
    assert np.array_equal(volume.data, numbers().transpose(2, 1, 0) * 2 - 7)
    assert volume.grid.spacing == pytest.approx((SPACING[1], SPACING[0], STEP))


def test_blank_uids_of_anonymised_files_are_no_fault(tmp_path):
    def blank(made, _):
        made.SeriesInstanceUID = made.SOPClassUID = ""

    write_series(tmp_path / "ct", change=blank)
    assert np.array_equal(loaded(tmp_path / "ct").data, numbers().transpose(2, 1, 0))


def test_a_missing_slice_is_interpolated_between_its_neighbours_with_a_warning(tmp_path):
    write_series(tmp_path / "ct", leave_out=[2])
    volume = loaded(tmp_path / "ct", fill_gaps=True)
    expected = numbers().astype(np.float32)
    expected[2] = (expected[1] + expected[3]) / 2
    assert np.array_equal(volume.data, expected.transpose(2, 1, 0))
    assert volume.warnings == ("1 of 5 slices were missing and are interpolated",)


def test_a_file_that_changes_after_its_header_was_read_is_refused(tmp_path):
    files = write_series(tmp_path / "ct")
    scan = open_series(tmp_path / "ct")
    files[3].write_bytes(files[3].read_bytes() + b"\0\0")
    with pytest.raises(InputError, match="was changed while it was read"):
        list(scan.planes())
    with pytest.raises(InputError, match="was changed while it was read"):
        scan.sha256()


def test_truncated_pixels_are_refused(tmp_path):
    files = write_series(tmp_path / "ct")
    files[3].write_bytes(files[3].read_bytes()[:-20])
    with pytest.raises(InputError, match=r'"IM\d{4}.dcm": its pixels are damaged'):
        list(open_series(tmp_path / "ct").planes())


def test_what_the_machine_lacks_while_a_plane_is_decoded_is_no_damage(tmp_path, monkeypatch, no_descriptors):
    write_series(tmp_path / "ct")
    scan = open_series(tmp_path / "ct")
    next(scan.planes())
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        next(scan.planes())
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        scan.sha256()

    def short(*_):
        raise MemoryError

    monkeypatch.setattr("bedside.dicom.series._decoded", short)
    with pytest.raises(ResourceError, match=r'"IM\d{4}.dcm": memory ran out'):
        next(scan.planes())


@pytest.mark.parametrize(("free", "refusal"), [(2**40, InputError), (0, ResourceError)])
def test_a_package_that_fails_while_memory_is_short_says_nothing_of_the_file(tmp_path, monkeypatch, free, refusal):
    def failed(*_):
        raise RuntimeError("Unable to decode as exceptions were raised by all available plugins:\n  pillow: ")

    write_series(tmp_path / "ct")
    scan = open_series(tmp_path / "ct")
    monkeypatch.setattr("bedside.dicom.series._decoded", failed)
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: free)
    with pytest.raises(refusal):
        next(scan.planes())
