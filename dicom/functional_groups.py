"""The functional groups of multi-frame files: each stands at its frame, or once for all frames (PS3.3, C.7.6.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset


def functional_group(name: str, own: Dataset, shared: Dataset | None) -> Dataset | None:
    """Returns a functional group of a frame: its own, or else that of all frames; None where there is neither.

    Args:
        name: keyword of the group's sequence, such as ``PlanePositionSequence``.
        own: the frame's item of the per-frame groups.
        shared: the item of the shared groups; None where the file has none.
    """
    found = own.get(name) or (shared.get(name) if shared is not None else None)
    return found[0] if found else None


def share_planes(header: Dataset) -> None:
    """Moves orientation and pixel measures, which DICOM also allows at every frame, from the frames to what they share.

    Args:
        header: header of a multi-frame file whose frames have the same, as those of a `Stack`; it is changed.
    """
    from pydicom import Dataset

    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = [Dataset()]
    shared = header.SharedFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        group = functional_group(name, header.PerFrameFunctionalGroupsSequence[0], shared)
        for own in header.PerFrameFunctionalGroupsSequence:
            own.pop(name, None)
        if group is not None:
            setattr(shared, name, [group])
