"""Options are checked where they are made, and what the caller leaves open comes from the bundle."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
from bedside.runtime import Bundle, Cancelled, Grid, Postprocessing, SegmentationOptions, UsageError, Volume
from bedside.runtime.hooks import Hooks

SCAN = Volume(np.zeros((4, 4, 4), np.int16), Grid((4, 4, 4), np.eye(4)))


@pytest.fixture
def manifest(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        return msgspec.structs.replace(bundle.manifest, postprocessing=Postprocessing(largest_component=("fat",)))


def requested(manifest, scan=SCAN, cancel=None, **options):
    return SegmentationOptions(**options).request(scan, manifest, Hooks(cancel=cancel))


def test_overlap_and_post_processing_are_the_bundles_unless_given(manifest):
    request = requested(manifest)
    assert (request.overlap, request.postprocessing.largest_component) == (0.25, ("fat",))
    request = requested(manifest, overlap=0, postprocessing=Postprocessing(), skip_air=False)
    assert (request.overlap, request.postprocessing, request.skip_air) == (0.0, Postprocessing(), False)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("overlap", 1.0, "0 ≤ overlap < 1, got 1.0"),
        ("skip_air", "no", 'True or False, got "no"'),
        ("use_locator", 2, "True or False, got 2"),
        ("volume", -1, "a whole number from 0 up, got -1"),
        ("replace_nan", "0", 'a finite number that float32 can hold, got "0"'),
        ("prefer", "SFORM", 'sform, qform, got "SFORM"'),
        ("postprocessing", {}, "a Postprocessing, got a dict"),
    ],
)
def test_a_wrong_option_is_refused_where_the_options_are_made(option, value, expected):
    with pytest.raises(UsageError) as caught:
        SegmentationOptions(**{option: value})
    assert str(caught.value) == f"{option}: expected {expected}"


def test_options_have_no_order():
    with pytest.raises(TypeError, match="positional"):
        SegmentationOptions(0.5, False)


def test_numpys_numbers_become_pythons_so_that_a_record_can_hold_them():
    given = SegmentationOptions(
        overlap=np.float32(0.5), skip_air=np.bool_(False), volume=np.int64(2), replace_nan=np.int16(0)
    )
    assert [type(each) for each in (given.overlap, given.skip_air, given.volume, given.replace_nan)] == [
        float, bool, int, float,
    ]  # fmt: skip
    assert given == SegmentationOptions(overlap=0.5, skip_air=False, volume=2, replace_nan=0.0)
    assert pickle.loads(pickle.dumps(given)) == given


def test_a_label_that_the_task_lacks_is_refused_although_the_scan_is_missing(manifest, tmp_path):
    with pytest.raises(UsageError, match="heart"):
        requested(manifest, tmp_path / "none.nii", postprocessing=Postprocessing(largest_component=("heart",)))


def test_a_cancelled_call_opens_no_scan(manifest, tmp_path):
    with pytest.raises(Cancelled):
        requested(manifest, tmp_path / "none.nii", cancel=lambda: True)
