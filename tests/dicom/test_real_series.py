"""Real series: read as by dcm2niix, labelled as their NIfTI is, and their segmentations read by other software."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from bedside.cli.main import run as bedside
from bedside.dicom import open_series, write_segmentation
from bedside.runtime import read_labels
from bedside.runtime.task import Intensity, Modality
from pydicom.pixels.utils import pixel_array

from .test_series import by_dcm2niix, loaded, same_as_dcm2niix

CT = ("ct_jpeg2000", "ct_with_seg")
MR = tuple(f"mr_hippocampus/series{number}" for number in (1, 2, 3))
KINDS = ("LABELMAP", "BINARY")


@pytest.fixture(params=(*CT, *MR))
def folder(request, real_data, tmp_path):
    """A folder with the slices of one series."""
    slices = tmp_path / "slices"
    slices.mkdir()
    for file in sorted((real_data / "dicom" / request.param).iterdir()):
        if pydicom.dcmread(file, force=True, specific_tags=["Modality"]).get("Modality") in ("CT", "MR"):
            shutil.copy(file, slices)
    return slices


@pytest.fixture
def bundle(request, folder, toy, tmp_path):
    """The toy bundle, for the modality of the series."""
    spacing = open_series(folder).grid.spacing  # nothing is resampled, so that the labels are equal to the last voxel
    task = toy.task(patch=(64, 64, 16), spacing=tuple(spacing))
    # Its labels change at quarters of the window: -500.25 and 500.25 HU, which no voxel has.
    task = task.replaced(intensity=Intensity(clip=(-1000.5, 1000.5), scale_to=(0.0, 1.0)))
    if "mr" in request.node.callspec.params["folder"]:
        percentiles = Intensity(clip=(0.5, 99.5), clip_percentiles=True, scale_to=(0.0, 1.0))
        task = task.replaced(modality=Modality.MR, intensity=percentiles)
    return toy.write_bundle(tmp_path / "toy.bedside", task)


def own_label_map(file, shape):
    """The label map [X, Y, Z] of a segmentation's own frames, in the order of their positions; with pydicom alone."""
    made = pydicom.dcmread(file)
    frames = pixel_array(file).reshape(-1, made.Rows, made.Columns)
    groups = made.PerFrameFunctionalGroupsSequence
    heights = [float(each.PlanePositionSequence[0].ImagePositionPatient[2]) for each in groups]
    places = {height: place for place, height in enumerate(sorted(set(heights)))}
    labels = np.zeros(shape, np.uint8)
    for frame, height, own in zip(frames, heights, groups, strict=True):
        binary = own.get("SegmentIdentificationSequence")
        value = frame * binary[0].ReferencedSegmentNumber if binary else frame
        labels[:, :, places[height]] += value.T.astype(np.uint8)
    return labels


def test_voxels_and_affine_are_those_of_dcm2niix(folder, tmp_path):
    assert same_as_dcm2niix(loaded(folder), folder, tmp_path / "out")


def test_labels_are_those_of_the_nifti_and_come_back_from_the_segmentation(folder, bundle, tmp_path):
    nib.save(by_dcm2niix(folder, tmp_path / "nifti"), tmp_path / "scan.nii.gz")
    words = ["--engine", "onnxruntime", "--precision", "fp32", "--quiet"]
    for given, out in ((tmp_path / "scan.nii.gz", "nifti.nii.gz"), (folder, "dicom.nii.gz"), (folder, "seg.dcm")):
        code = bedside(["segment", str(bundle), "-i", str(given), "-o", str(tmp_path / out), *words])
        assert code in (0, 6), (out, code)
    expected, found = (nib.as_closest_canonical(nib.load(tmp_path / f"{name}.nii.gz")) for name in ("nifti", "dicom"))
    assert np.allclose(expected.affine, found.affine, atol=1e-4)
    assert np.array_equal(expected.dataobj, found.dataobj)
    assert set(np.unique(np.asarray(found.dataobj))) == {0, 1, 2}
    labels = read_labels(tmp_path / "dicom.nii.gz").data
    assert np.array_equal(own_label_map(tmp_path / "seg.dcm", labels.shape), labels)


def bands(series):
    """A label map with two labels that overlap in every slice but the last."""
    labels = np.zeros(series.grid.shape, np.uint8)
    labels[2:11, 3:9, :-1] = 1
    labels[9:17, 5:12, :-1] = 2
    return labels


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error_in_the_segmentation(folder, tmp_path):
    series = open_series(folder)
    names = ("background", "anterior", "posterior")
    write_segmentation(tmp_path / "seg.dcm", bands(series), names, series, bundle_sha256="ab", kind="BINARY")
    done = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    assert "Segmentation" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_dcmqi_reads_the_segmentation(folder, tmp_path, kind):
    dcmqi = pytest.importorskip("dcmqi", reason="dcmqi is not installed")
    program = Path(dcmqi.__file__).with_name("bin") / "segimage2itkimage"
    series, labels = open_series(folder), bands(open_series(folder))
    names = ("background", "anterior", "posterior")
    write_segmentation(tmp_path / "seg.dcm", labels, names, series, bundle_sha256="ab", kind=kind)
    words = ["--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path, "--prefix", "read", "-t", "nii"]
    done = subprocess.run([program, *words, "--mergeSegments"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    own = nib.as_closest_canonical(nib.Nifti1Image(labels, series.grid.affine))
    found = {}
    for file in tmp_path.glob("read-*.nii.gz"):
        read = nib.as_closest_canonical(nib.load(file))
        for value in np.unique(np.asarray(read.dataobj))[1:]:
            voxels = np.argwhere(np.asarray(read.dataobj) == value)
            found[int(value)] = (len(voxels), nib.affines.apply_affine(read.affine, voxels).mean(0))
    for value in (1, 2):
        voxels = np.argwhere(np.asarray(own.dataobj) == value)
        count, centroid = found[value]
        assert count == len(voxels)
        assert np.allclose(centroid, nib.affines.apply_affine(own.affine, voxels).mean(0), atol=1e-3)
