"""What a reserved scan takes beyond its plan is held to the limit of the segmenter too."""

import numpy as np
import pytest
from bedside.runtime import Grid, Postprocessing, ResourceError, Segmenter, Volume
from bedside.runtime.labels import postprocess
from bedside.runtime.memory.reservations import reservations
from bedside.runtime.memory.resident import resident_bytes

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
        seg.reserve(Volume(hu, Grid(hu.shape, AFFINE)), postprocessing=LARGEST) as reserved,
    ):
        before = reservations()._bytes
        assert np.any(reserved.run().labels)
    assert reserved_then == [before]
