"""A functional group of a frame is its own, or that of all frames; what libraries look for there is shared."""

from __future__ import annotations

import pytest
from bedside.dicom.functional_groups import functional_group, share_planes
from pydicom.dataset import Dataset


def groups(**spacings):
    """Groups with one item in each sequence: keyword of the sequence → Slice Thickness."""
    made = Dataset()
    for name, thickness in spacings.items():
        item = Dataset()
        item.SliceThickness = thickness
        setattr(made, name, [item])
    return made


def test_the_own_group_of_a_frame_comes_before_that_of_all_frames():
    own, shared = groups(PixelMeasuresSequence=1), groups(PixelMeasuresSequence=2)
    assert functional_group("PixelMeasuresSequence", own, shared).SliceThickness == 1
    assert functional_group("PixelMeasuresSequence", Dataset(), shared).SliceThickness == 2


def test_a_group_that_is_nowhere_is_none():
    own = groups(PlanePositionSequence=1)
    own.PixelMeasuresSequence = []
    assert functional_group("PixelMeasuresSequence", own, Dataset()) is None
    assert functional_group("PixelMeasuresSequence", own, None) is None


@pytest.mark.parametrize("elsewhere", [{}, {"SharedFunctionalGroupsSequence": [Dataset()]}])
def test_planes_that_every_frame_states_are_shared_and_positions_stay_at_the_frames(elsewhere):
    header = Dataset()
    for name, value in elsewhere.items():
        setattr(header, name, value)
    header.PerFrameFunctionalGroupsSequence = [
        groups(PlanePositionSequence=number, PixelMeasuresSequence=3) for number in range(2)
    ]
    share_planes(header)
    (shared,) = header.SharedFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence[0].SliceThickness == 3
    assert "PlaneOrientationSequence" not in shared
    for number, own in enumerate(header.PerFrameFunctionalGroupsSequence):
        assert own.PlanePositionSequence[0].SliceThickness == number
        assert "PixelMeasuresSequence" not in own
