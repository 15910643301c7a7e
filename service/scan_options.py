"""How an uploaded scan is read, as the query of its request says."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..runtime.segmentation_options import SegmentationOptions


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read an uploaded scan; the query of a request.

    Attributes:
        bundle: name of the bundle; None for the first.
        series: which DICOM series, by Series Instance UID or number; None where there is one.
        fill_gaps: whether missing slices of a series are interpolated.
        volume: index of the volume in a 4D file, from 0.
        prefer: sform or qform, where they disagree.
    """

    bundle: str | None = None
    series: str | None = None
    fill_gaps: bool = False
    volume: int | None = None
    prefer: Literal["sform", "qform"] | None = None

    def of_segmentation(self) -> SegmentationOptions:
        """Returns those of them that the segmenter takes.

        Raises:
            UsageError: one is out of range.
        """
        return SegmentationOptions(volume=self.volume, prefer=self.prefer)
