"""Post-processing of label maps as the bundle or the caller requests it, and a record of what it removed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..checked_struct import CheckedStruct
from ..errors import FieldError, UsageError
from ..hooks import Cancel
from ..memory.memory_limit import Reserve, if_free
from ..preprocessing.body_mask import BodyMask
from ..scans.geometry import Grid
from .components import RUN_BYTES, count_runs, find_components

PostprocessingStep = Literal["within_body", "min_volume", "largest_component"]
_ROUNDING = 1e-6  # relative: float32 rounding of the voxel size must not remove a component of just the least volume
_MOST_OUTSIDE = 0.1  # of a label; more was hardly found in air alone


class Postprocessing(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The post-processing steps for a label map, run in the order below; by default none.

    A component is a set of voxels of one label that share a face, an edge or a corner (26 neighbours), so parts that
    are joined by a corner alone are not separated.

    Attributes:
        within_body: whether voxels outside the body mask become background.
        min_volume_ml: label → millilitres; smaller components of the label are removed.
        largest_component: labels that keep only their largest component, or ``"all"``. If several components are
            equally large all of them stay, because nothing in the map shows which one is right.
    """

    largest_component: tuple[str, ...] | Literal["all"] = ()
    min_volume_ml: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    within_body: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, least in self.min_volume_ml.items():
            if not (math.isfinite(least) and least > 0):
                raise FieldError(
                    f'postprocessing.min_volume_ml: expected millilitres above 0 for "{label}", got {least}'
                )

    def check(self, labels: tuple[str, ...]) -> None:
        """Checks that every label in these settings is an organ of the task.

        Args:
            labels: the task's label names, background first.

        Raises:
            FieldError: a label is not in ``labels[1:]``.
        """
        organs = labels[1:]
        largest = () if self.largest_component == "all" else self.largest_component
        for label in (*largest, *self.min_volume_ml):
            if label not in organs:
                raise FieldError(
                    f'postprocessing: expected labels of the task, got "{label}"; it has {", ".join(organs)}'
                )

    def __str__(self) -> str:
        largest = "all labels" if self.largest_component == "all" else ", ".join(self.largest_component)
        parts = [f"components of {label} from {least:g} ml" for label, least in self.min_volume_ml.items()]
        parts += ["within the body"] if self.within_body else []
        parts += [f"largest component of {largest}"] if largest else []
        return "; ".join(parts) or "none"

    def keeps_largest(self, label: str) -> bool:
        """Whether only the largest component of a label stays."""
        return self.largest_component == "all" or label in self.largest_component


@dataclass(frozen=True)
class Removal:
    """What one post-processing step removed from one label.

    Attributes:
        step: name of the step.
        label: name of the label.
        components: number of components removed; None for ``within_body``, which removes single voxels.
        voxels: number of voxels removed.
        ml: volume removed in millilitres.
    """

    step: PostprocessingStep
    label: str
    components: int | None
    voxels: int
    ml: float


def postprocess(
    label_map: NDArray[Any],
    names: tuple[str, ...],
    grid: Grid,
    settings: Postprocessing,
    body: BodyMask | None = None,
    cancel: Cancel | None = None,
    reserve: Reserve = if_free,
) -> tuple[Removal, ...]:
    """Post-processes a label map in place.

    Args:
        label_map: [X, Y, Z] label indices.
        names: the task's label names, background first.
        grid: grid of the label map.
        settings: the steps to run.
        body: body mask on the model's grid; required for ``within_body``.
        cancel: function called before every slow step; it returns true to stop.
        reserve: reserves the memory that the search for components needs, or refuses it.

    Returns:
        One entry for each requested step and label, also where nothing was removed.

    Raises:
        UsageError: a label is not an organ of the task, or ``within_body`` is set without ``body``.
        ResourceError: the map has so many runs of equal voxels that ``reserve`` refuses their memory.
        Cancelled: ``cancel()`` returned true.
    """
    settings.check(names)
    voxel_ml = grid.voxel_ml
    applied: list[Removal] = []
    if settings.within_body:
        if body is None:
            raise UsageError("postprocessing: within_body requires a body mask")
        removed = body.clear_outside(label_map, grid, len(names))
        applied += [
            Removal("within_body", name, None, int(count), int(count) * voxel_ml)
            for name, count in zip(names[1:], removed[1:], strict=True)
        ]
    return (*applied, *_without_components(label_map, names, voxel_ml, settings, cancel, reserve))


def emptied(applied: tuple[Removal, ...], volumes_ml: Mapping[str, float]) -> tuple[str, ...]:
    """Returns a warning for each label that post-processing removed completely.

    Args:
        applied: result of `postprocess`.
        volumes_ml: label → volume after post-processing, in millilitres.
    """
    removed: dict[str, float] = {}
    for entry in applied:
        removed[entry.label] = removed.get(entry.label, 0.0) + entry.ml
    return tuple(
        f"post-processing removed all of {label} ({ml:.3g} ml)"
        for label, ml in removed.items()
        if ml > 0 and volumes_ml[label] == 0
    )


def cut_by_body(applied: tuple[Removal, ...], volumes_ml: Mapping[str, float]) -> tuple[str, ...]:
    """Returns a warning for each label that lost more than a tenth by ``within_body``, and is still there.

    Args:
        applied: result of `postprocess`.
        volumes_ml: label → volume after post-processing, in millilitres.
    """
    whole = {label: ml + sum(entry.ml for entry in applied if entry.label == label) for label, ml in volumes_ml.items()}
    return tuple(
        f"{entry.ml:.3g} of {whole[entry.label]:.3g} ml of {entry.label} were outside the body and removed; "
        "compare with the label map without within_body"
        for entry in applied
        if entry.step == "within_body" and volumes_ml[entry.label] > 0 and entry.ml > _MOST_OUTSIDE * whole[entry.label]
    )


def _without_components(
    label_map: NDArray[Any],
    names: tuple[str, ...],
    voxel_ml: float,
    settings: Postprocessing,
    cancel: Cancel | None,
    reserve: Reserve,
) -> Iterator[Removal]:
    least = np.array([settings.min_volume_ml.get(name, 0.0) for name in names]) * (1 - _ROUNDING)
    keeps_largest = np.array([settings.keeps_largest(name) for name in names])
    wanted = [index for index in range(1, len(names)) if least[index] > 0 or keeps_largest[index]]
    if not wanted:
        return
    runs = count_runs(label_map, wanted)
    what = f"post-processing of a label map of {runs:,} separate rows"
    with reserve(runs * RUN_BYTES, what, "look at the label map without post-processing: it may be noise"):
        found = find_components(label_map, wanted, cancel=cancel)
        largest = np.zeros(len(names), np.int64)
        np.maximum.at(largest, found.labels, found.voxels)
        small = found.voxels * voxel_ml < least[found.labels]
        lesser = keeps_largest[found.labels] & (found.voxels < largest[found.labels]) & ~small
        found.erase(label_map, small | lesser)
        steps: tuple[tuple[PostprocessingStep, NDArray[np.bool_], NDArray[np.bool_]], ...] = (
            ("min_volume", least > 0, small),
            ("largest_component", keeps_largest, lesser),
        )
        for step, asked, removed in steps:
            for index in (index for index in wanted if asked[index]):
                mine = removed & (found.labels == index)
                voxels = int(found.voxels[mine].sum())
                yield Removal(step, names[index], int(mine.sum()), voxels, voxels * voxel_ml)
