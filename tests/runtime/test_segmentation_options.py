"""What the caller leaves open comes from the bundle, and wrong options are refused before the scan is touched."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from bedside.runtime import Bundle, Cancelled, Grid, Postprocessing, UsageError, Volume
from bedside.runtime.hooks import Hooks
from bedside.runtime.segmentation_options import SegmentationOptions

SCAN = Volume(np.zeros((4, 4, 4), np.int16), Grid((4, 4, 4), np.eye(4)))
OPEN = {"overlap": None, "skip_air": True, "cancel": None, "postprocessing": None, "use_locator": True}


@pytest.fixture
def manifest(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        return msgspec.structs.replace(bundle.manifest, postprocessing=Postprocessing(largest_component=("fat",)))


def requested(manifest, scan=SCAN, **options):
    given = SegmentationOptions(**{**OPEN, **options})
    return given.request(scan, manifest, Hooks(cancel=given.cancel))


def test_overlap_and_post_processing_are_the_bundles_unless_given(manifest):
    request = requested(manifest)
    assert (request.overlap, request.postprocessing.largest_component) == (0.25, ("fat",))
    request = requested(manifest, overlap=0, postprocessing=Postprocessing(), skip_air=False)
    assert (request.overlap, request.postprocessing, request.skip_air) == (0.0, Postprocessing(), False)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("overlap", 1.0),
        ("skip_air", "no"),
        ("use_locator", 2),
        ("cancel", True),
        ("postprocessing", {}),
        ("postprocessing", Postprocessing(largest_component=("heart",))),
    ],
)
def test_a_wrong_option_is_refused_although_the_scan_is_missing(manifest, tmp_path, option, value):
    with pytest.raises(UsageError, match="heart" if isinstance(value, Postprocessing) else option):
        requested(manifest, tmp_path / "none.nii", **{option: value})


def test_a_cancelled_call_opens_no_scan(manifest, tmp_path):
    with pytest.raises(Cancelled):
        requested(manifest, tmp_path / "none.nii", cancel=lambda: True)
