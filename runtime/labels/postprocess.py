"""Post-processing of label maps: what the bundle or the caller asks for, and a record of what it removed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..callbacks import Cancel
from ..errors import FieldError, UsageError
from ..fields import CheckedStruct
from ..preprocessing.body_mask import BodyMask
from ..scans.geometry import Grid
from .components import find_components

Step = Literal["within_body", "min_volume", "largest_component"]
_ROUNDING = 1e-6  # relative: a component of just the least volume stays, whatever float32 made of the voxel's size


class Postprocessing(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is removed from a label map, in this order; by default nothing.

    A component is a set of voxels of one label that share a face, an edge or a corner (26 neighbours), so that nothing
    is cut off that hangs on by a corner.

    Attributes:
        within_body: voxels outside the body mask become background.
        min_volume_ml: label → millilitres; components smaller than that are removed.
        largest_component: labels of which only the largest component stays, or ``"all"``. Where several are the
            largest all of these stay: nothing in the map tells which of them is right.
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
        """Checks that the labels named are a task's, background excepted.

        Args:
            labels: index → name.

        Raises:
            ValueError: a label is not.
        """
        organs = labels[1:]
        largest = () if self.largest_component == "all" else self.largest_component
        for label in (*largest, *self.min_volume_ml):
            if label not in organs:
                raise FieldError(
                    f'postprocessing: expected labels of the task, got "{label}"; it has {", ".join(organs)}'
                )

    def checked(self, labels: tuple[str, ...]) -> Postprocessing:
        """Returns itself, if the labels it names are a task's.

        Raises:
            UsageError: a label is not.
        """
        try:
            self.check(labels)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return self

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
class Applied:
    """What one step took from one label.

    Attributes:
        step: which step.
        label: name of the label.
        components: number of components removed; None for ``within_body``, which goes by voxels.
        voxels: number of voxels removed.
        ml: their volume in millilitres.
    """

    step: Step
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
) -> tuple[Applied, ...]:
    """Carries out post-processing, in place.

    Args:
        label_map: [X, Y, Z] label indices.
        names: index → name.
        grid: grid of the label map.
        settings: what to do.
        body: where the body is; needed for ``within_body``.
        cancel: asked before every step that may take long.

    Returns:
        One entry for each step and label asked for, also where nothing was removed.

    Raises:
        UsageError: a label is not the task's, or the body is needed and not given.
        ResourceError: the map is too ragged for the memory there is.
        Cancelled: ``cancel()`` returned true.
    """
    settings = settings.checked(names)
    voxel_ml = grid.voxel_ml
    applied: list[Applied] = []
    if settings.within_body:
        if body is None:
            raise UsageError("postprocessing: within_body needs to know where the body is")
        removed = body.clear_outside(label_map, grid, len(names))
        applied += [
            Applied("within_body", name, None, int(count), int(count) * voxel_ml)
            for name, count in zip(names[1:], removed[1:], strict=True)
        ]
    return (*applied, *_without_components(label_map, names, voxel_ml, settings, cancel))


def emptied(applied: tuple[Applied, ...], volumes_ml: Mapping[str, float]) -> tuple[str, ...]:
    """Returns a warning for each label of which post-processing left nothing.

    Args:
        applied: what was removed.
        volumes_ml: label → millilitres that are left.
    """
    removed: dict[str, float] = {}
    for entry in applied:
        removed[entry.label] = removed.get(entry.label, 0.0) + entry.ml
    return tuple(
        f"post-processing removed all of {label} ({ml:.3g} ml)"
        for label, ml in removed.items()
        if ml > 0 and volumes_ml[label] == 0
    )


def _without_components(
    label_map: NDArray[Any],
    names: tuple[str, ...],
    voxel_ml: float,
    settings: Postprocessing,
    cancel: Cancel | None,
) -> Iterator[Applied]:
    least = np.array([settings.min_volume_ml.get(name, 0.0) for name in names]) * (1 - _ROUNDING)
    keeps_largest = np.array([settings.keeps_largest(name) for name in names])
    wanted = [index for index in range(1, len(names)) if least[index] > 0 or keeps_largest[index]]
    if not wanted:
        return
    found = find_components(label_map, wanted, cancel=cancel)
    largest = np.zeros(len(names), np.int64)
    np.maximum.at(largest, found.labels, found.voxels)
    small = found.voxels * voxel_ml < least[found.labels]
    lesser = keeps_largest[found.labels] & (found.voxels < largest[found.labels]) & ~small
    found.erase(label_map, small | lesser)
    steps: tuple[tuple[Step, NDArray[np.bool_], NDArray[np.bool_]], ...] = (
        ("min_volume", least > 0, small),
        ("largest_component", keeps_largest, lesser),
    )
    for step, asked, removed in steps:
        for index in (index for index in wanted if asked[index]):
            mine = removed & (found.labels == index)
            voxels = int(found.voxels[mine].sum())
            yield Applied(step, names[index], int(mine.sum()), voxels, voxels * voxel_ml)
