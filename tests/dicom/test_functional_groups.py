"""A functional group of a frame is its own, or that of all frames."""

from __future__ import annotations

from bedside.dicom.functional_groups import functional_group
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
