"""The rules of `node.toml`, and which of them fits a series: it says which bundle segments it, for which peers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError
from .field_checks import check_not_empty, check_some

if TYPE_CHECKING:
    from pydicom import Dataset

    from ..segmentation import SegmentationKind
    from ..series import DicomSeries

Orientation = Literal["axial", "coronal", "sagittal"]

_PLANES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}


class Rule(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``[[rules]]``: which series a bundle segments. The first that fits a series is taken.

    Attributes:
        name: its name in the log.
        bundle: bundle directory or zip, relative to the file.
        send_to: names of the peers that get the result.
        modality: Modality that fits; None for that of the bundle's task.
        body_parts: values of Body Part Examined that fit, in any case; None for all, also for none given.
        orientation: plane of the slices that fits; None for all.
        slice_distance_mm: least and greatest distance of slices that fits; None for all.
        pixel_mm: least and greatest pixel spacing that fits; None for all.
        binary: whether the segmentation has a frame for each organ, for viewers that know no label maps.
        report: whether a structured report of the volumes is sent too.
        contours: whether an RT structure set is sent too.
    """

    name: str
    bundle: str
    send_to: tuple[str, ...]
    modality: str | None = None
    body_parts: tuple[str, ...] | None = None
    orientation: Orientation | None = None
    slice_distance_mm: tuple[float, float] | None = None
    pixel_mm: tuple[float, float] | None = None
    binary: bool = False
    report: bool = False
    contours: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_empty("name", self.name)
        check_not_empty("bundle", self.bundle)
        if self.modality is not None and not re.fullmatch("[A-Z0-9_]{1,16}", self.modality):
            raise FieldError(f'modality: expected one of DICOM such as "CT" or "MR", got "{self.modality[:40]}"')
        check_some("body_parts", self.body_parts)
        if not self.send_to:
            raise FieldError("send_to: expected the name of a peer, got none")
        for name in ("slice_distance_mm", "pixel_mm"):
            bounds = getattr(self, name)
            if bounds is not None and not 0 <= bounds[0] <= bounds[1] < float("inf"):
                raise FieldError(f"{name}: expected [least, greatest] in mm, got [{bounds[0]:g}, {bounds[1]:g}]")

    @property
    def kind(self) -> SegmentationKind:
        """How the segmentation holds its labels."""
        return "BINARY" if self.binary else "LABELMAP"


@dataclass(frozen=True)
class SeriesFacts:
    """What rules look at. Nothing in it names the patient.

    Attributes:
        modality: Modality, such as ``CT``.
        body_part: Body Part Examined of the first slice in capitals; empty where there is none.
        orientation: plane of the slices: axial, coronal or sagittal.
        slice_distance_mm: distance of slices.
        pixel_mm: least and greatest pixel spacing.
    """

    modality: str
    body_part: str
    orientation: str
    slice_distance_mm: float
    pixel_mm: tuple[float, float]

    @classmethod
    def of(cls, series: DicomSeries, header: Dataset) -> SeriesFacts:
        """Returns the facts of a series; ``header`` is that of its first slice, as localisers may show another part."""
        frame = next(each for each in series.stack.slices if each is not None)
        spacing = series.grid.spacing
        part = str(header.get("BodyPartExamined") or "").strip().upper()
        return cls(frame.modality, part, _PLANES[series.grid.axes[2]], spacing[2], (min(spacing[:2]), max(spacing[:2])))


def first_fitting(rules: Sequence[Rule], modalities: Mapping[str, str], facts: SeriesFacts) -> Rule | None:
    """Returns the first rule that fits a series; None where none does.

    Args:
        rules: the rules in their order.
        modalities: bundle → Modality of its task, for rules that name none.
        facts: the series.
    """
    return next((rule for rule in rules if _fits(rule, rule.modality or modalities[rule.bundle], facts)), None)


def _fits(rule: Rule, modality: str, facts: SeriesFacts) -> bool:
    return (
        facts.modality == modality
        and (rule.body_parts is None or facts.body_part in {part.strip().upper() for part in rule.body_parts})
        and rule.orientation in (None, facts.orientation)
        and _within(rule.slice_distance_mm, facts.slice_distance_mm, facts.slice_distance_mm)
        and _within(rule.pixel_mm, *facts.pixel_mm)
    )


def _within(bounds: tuple[float, float] | None, least: float, greatest: float) -> bool:
    return bounds is None or (bounds[0] <= least and greatest <= bounds[1])
