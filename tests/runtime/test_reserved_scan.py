"""What a reserved scan takes beyond its plan is held to the limit of the segmenter too."""

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Grid, Postprocessing, ResourceError, SegmentationOptions, Segmenter, Volume
from bedside.runtime.labels import postprocess
from bedside.runtime.memory.reservations import reservations
from bedside.runtime.memory.resident import resident_bytes
from bedside.runtime.scans import open_scan
from bedside.runtime.scans.nifti_image import ImageMemory

from .test_segmenter import AFFINE, phantom

LARGEST = Postprocessing(largest_component="all")


def test_post_processing_beyond_the_limit_is_refused(bundle_path, monkeypatch):
    hu, _ = phantom()
    scan, limit = Volume(hu, Grid(hu.shape, AFFINE)), resident_bytes() + 2**30
    monkeypatch.setattr(postprocess, "RUN_BYTES", 2**30)  # of hundreds of rows: more than the limit, whatever is free
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1, memory_limit=limit) as seg:
        assert seg.segment(scan).labels.any()
        with pytest.raises(ResourceError, match=r"^with post-processing of a label map of .* the limit is .* noise$"):
            seg.segment(scan, postprocessing=LARGEST)


def test_post_processing_takes_what_the_windows_no_longer_need(bundle_path, monkeypatch):
    hu, _ = phantom()
    reserved_then = []
    real = postprocess.find_components

    def noted(*arguments, **options):
        reserved_then.append(reservations()._bytes)
        return real(*arguments, **options)

    monkeypatch.setattr(postprocess, "find_components", noted)
    with (
        Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as seg,
        seg.reserve(Volume(hu, Grid(hu.shape, AFFINE)), SegmentationOptions(postprocessing=LARGEST)) as reserved,
    ):
        before = reservations()._bytes
        assert np.any(reserved.run().labels)
    assert reserved_then == [before]


def test_an_image_beyond_the_limit_is_refused_before_it_is_read(bundle_path, tmp_path, monkeypatch):
    hu, _ = phantom()
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "ct.nii")
    limit = resident_bytes() + 2**30
    monkeypatch.setattr(ImageMemory, "of", lambda _: ImageMemory(held=2**20, reading=2**31))
    monkeypatch.setattr(open_scan, "image_volume", lambda *_: pytest.fail("the image was read"))
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1, memory_limit=limit) as seg:
        image = nib.load(tmp_path / "ct.nii")
        with pytest.raises(ResourceError, match=r"with this image the process needs .*; raise the limit to .* or give"):
            seg.segment(image)
    assert reservations()._bytes == 0


def test_an_image_counts_as_long_as_its_scan_is_segmented(bundle_path, tmp_path):
    hu, _ = phantom()
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "ct.nii")
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as seg:
        with seg.reserve(nib.load(tmp_path / "ct.nii")) as reserved:
            assert reservations()._bytes == reserved.bytes + hu.nbytes
        with seg.reserve(nib.Nifti1Image(hu, AFFINE)) as reserved:  # the caller has its memory already
            assert reservations()._bytes == reserved.bytes
