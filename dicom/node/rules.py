"""Which rule fits a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..series import DicomSeries
from .routes import Rule

if TYPE_CHECKING:
    from pydicom import Dataset

_PLANES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}


@dataclass(frozen=True)
class SeriesFacts:
    """What rules look at. Nothing in it names the patient.

    Attributes:
        modality: Modality, such as ``CT``.
        body_part: Body Part Examined in capitals; empty where there is none.
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
        """Returns the facts of a series; ``header`` is that of one of its files."""
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
        and (not rule.body_parts or facts.body_part in {part.strip().upper() for part in rule.body_parts})
        and rule.orientation in (None, facts.orientation)
        and _within(rule.slice_distance_mm, facts.slice_distance_mm, facts.slice_distance_mm)
        and _within(rule.pixel_mm, *facts.pixel_mm)
    )


def _within(bounds: tuple[float, float] | None, least: float, greatest: float) -> bool:
    return bounds is None or (bounds[0] <= least and greatest <= bounds[1])
