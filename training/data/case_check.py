"""Checks one case before training: whether it can be used, and what a person should review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runtime.axes import DHW, XYZ
from ...runtime.errors import ExitCode, InputError, ResourceError
from ...runtime.hooks import Progress
from ...runtime.preprocessing.body import MARGIN_VOXELS
from ...runtime.preprocessing.preprocess import ModelInput
from ...runtime.preprocessing.resample import resample_nearest
from ...runtime.scans.geometry import Grid
from ...runtime.scans.volume import Volume
from ...runtime.task import Task
from .bounded_pool import bounded_pool
from .case_digest import CaseDigest
from .dataset import BrokenCase, Case
from .ignore_label import IGNORED
from .load_case import LoadedCase, load_case, memory_needed
from .prepared_case import label_counts

_SAMPLE_VOXELS = 1_000_000
_SHOWN = 5  # broken cases named in one message; the rest are counted


class BodyValues(msgspec.Struct, frozen=True, kw_only=True):
    """Raw intensities inside the body (HU for CT), measured on evenly spaced voxels.

    Attributes:
        percentile_1: 1st percentile.
        median: median.
        percentile_99: 99th percentile.
        below_clip: share of the voxels below the task's clip range, 0…1; None if each scan defines its own range.
        above_clip: share of the voxels above the clip range; None likewise.
    """

    percentile_1: float
    median: float
    percentile_99: float
    below_clip: float | None = None
    above_clip: float | None = None


class CaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements of a readable case.

    Attributes:
        shape: number of voxels, x from left to right, y from back to front, z from feet to head.
        spacing: (x, y, z) in mm.
        values: smallest and largest raw intensity.
        volumes_ml: label index → volume in ml, for the labels that occur; None without a label map that can be used.
        body: intensities inside the body; None without a task.
        ignored: share of ignored voxels, 0…1: loss and scores leave them out.
        reoriented: whether the label map is stored along other axes than the image.
    """

    shape: XYZ
    spacing: tuple[float, float, float]
    values: tuple[float, float]
    volumes_ml: dict[int, float] | None
    body: BodyValues | None
    ignored: float = 0.0
    reoriented: bool = False


class CheckedCase(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of checking one case.

    Attributes:
        name: name of the case in the data set.
        lists: names of the lists that contain it.
        problems: reasons why it cannot be used; empty if it can.
        warnings: unusual findings that a person should review.
        facts: measurements; None if image or label map cannot be read.
        exit_code: 0 without findings, 6 with warnings, 3 with problems, 5 if memory does not suffice for the check.
    """

    name: str
    lists: tuple[str, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: CaseFacts | None = None
    exit_code: int = ExitCode.OK


@dataclass(frozen=True)
class ListedCase:
    """A case to check.

    Attributes:
        case: the case with its files.
        lists: names of the lists that contain it.
        broken: errors of its list entry; if there are any, its files are not read.
    """

    case: Case
    lists: tuple[str, ...]
    broken: tuple[str, ...]


def check_case(listed: ListedCase, labels: tuple[str, ...], task: Task | None) -> tuple[CheckedCase, CaseDigest | None]:
    """Checks a case as `prepare_cases` would, without writing files.

    Args:
        listed: case to check.
        labels: label names of the data set, by index.
        task: grid and intensities; None skips the checks that depend on them.

    Returns:
        The outcome, and the digest of the files; None instead of the digest if they cannot be read.
    """
    name, lists = listed.case.name, listed.lists
    if listed.broken:
        return CheckedCase(name=name, lists=lists, problems=listed.broken, exit_code=ExitCode.INPUT), None
    try:
        digest = CaseDigest.of(listed.case)
        found = load_case(listed.case, len(labels), task, needs_label=lists != ("test",))
    except ResourceError as error:
        return CheckedCase(name=name, lists=lists, problems=(str(error),), exit_code=ExitCode.RESOURCE), None
    except InputError as error:
        return CheckedCase(name=name, lists=lists, problems=(str(error),), exit_code=ExitCode.INPUT), None
    has_ignored = listed.case.ignore is not None
    facts = _facts(found, task, has_ignored)
    if found.problems:
        problems = tuple(found.problems)
        return CheckedCase(name=name, lists=lists, problems=problems, facts=facts, exit_code=ExitCode.INPUT), digest
    warnings = (
        *(found.model_input.warnings if found.model_input else ()),
        *_label_warnings(found, labels, has_ignored),
    )
    code = ExitCode.REVIEW if warnings else ExitCode.OK
    return CheckedCase(name=name, lists=lists, warnings=warnings, facts=facts, exit_code=code), digest


def check_cases(
    listed: Sequence[ListedCase],
    labels: tuple[str, ...],
    task: Task | None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[tuple[CheckedCase, CaseDigest | None]]:
    """Checks cases in parallel, see `check_case`.

    Args:
        listed: cases to check.
        labels: label names of the data set, by index.
        task: grid and intensities; None skips the checks that depend on them.
        workers: maximum number of cases read in parallel, limited by free memory.
        progress: called with (cases done, cases in total).

    Returns:
        What `check_case` returns, in the order of ``listed``.
    """
    if progress:
        progress(0, len(listed))
    outcomes: dict[int, tuple[CheckedCase, CaseDigest | None]] = {}
    for number, outcome in bounded_pool(
        lambda number: check_case(listed[number], labels, task),
        range(len(listed)),
        workers,
        lambda number: 0 if listed[number].broken else memory_needed(listed[number].case, task),
    ):
        outcomes[number] = outcome
        if progress:
            progress(len(outcomes), len(listed))
    return [outcomes[number] for number in range(len(listed))]


def refuse_broken(checked: Sequence[CheckedCase]) -> None:
    """Raises if any of the cases cannot be used.

    Raises:
        InputError: a case cannot be used; the message names the first few.
        ResourceError: memory does not suffice for a case, and all others can be used.
    """
    broken = [case for case in checked if case.problems]
    if not broken:
        return
    shown = "; ".join(str(BrokenCase(case.name, ", ".join(case.problems))) for case in broken[:_SHOWN])
    rest = f" … and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    few = all(case.exit_code == ExitCode.RESOURCE for case in broken)
    raise (ResourceError if few else InputError)(f"{len(broken)} of {len(checked)} cases cannot be used: {shown}{rest}")


def _facts(found: LoadedCase, task: Task | None, has_ignored: bool) -> CaseFacts | None:
    scan = found.scan
    if scan is None:
        return None
    upright = scan.grid.reoriented("RAS")
    volumes: dict[int, float] | None = None
    ignored = 0
    if found.truth is not None:
        voxels = label_counts(found.truth.data.T)
        ignored = voxels.pop(IGNORED, 0) if has_ignored else 0
        volumes = {label: count * scan.grid.voxel_ml for label, count in voxels.items() if label}
    body = _body_values(scan, found.model_input, task) if found.model_input and task else None
    values = float(scan.data.min()), float(scan.data.max())
    return CaseFacts(
        shape=upright.shape,
        spacing=upright.spacing,
        values=values,
        volumes_ml=volumes,
        body=body,
        ignored=ignored / scan.data.size,
        reoriented=found.reoriented,
    )


def _label_warnings(found: LoadedCase, labels: tuple[str, ...], has_ignored: bool) -> list[str]:
    if found.truth is None:
        return []
    before = label_counts(found.truth.data.T)
    if has_ignored:
        before.pop(IGNORED, 0)
    if not before:
        return ["the whole label map is ignored: nothing can be learned from this scan"]
    if not before.keys() - {0}:
        return ["the label map is empty: nothing is marked in this scan"]
    if found.labels is None:
        return []
    after = label_counts(found.labels)
    return [
        f"{labels[label]} ({count} voxel{'s' if count > 1 else ''}) vanishes on the task's grid"
        for label, count in before.items()
        if label not in after
    ]


def _body_values(scan: Volume, given: ModelInput, task: Task) -> BodyValues:
    step = max(1, int(np.ceil((given.array.size / _SAMPLE_VOXELS) ** (1 / 3))))
    body = _well_inside(given.body, step)
    affine = given.grid.affine.copy()
    affine[:3, :3] *= step
    raw = resample_nearest(scan.data.T, scan.grid, Grid(DHW(*body.shape).xyz, affine))
    inside = raw[body] if body.any() else raw.ravel()
    low, median, high = (float(value) for value in np.percentile(inside, (1, 50, 99)))
    below = above = None
    if not task.intensity.clip_percentiles:
        below, above = (float(np.mean(outside)) for outside in _outside(inside, *task.intensity.clip))
    return BodyValues(percentile_1=low, median=median, percentile_99=high, below_clip=below, above_clip=above)


def _well_inside(body: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Returns every ``step``-th voxel of a body mask, after removing the margin of air around the body."""
    places = [np.arange(0, size, step) for size in body.shape]
    inside = body[np.ix_(*places)]
    for axis, size in enumerate(body.shape):
        for shift in (-MARGIN_VOXELS, MARGIN_VOXELS):
            moved = places.copy()
            moved[axis] = np.clip(places[axis] + shift, 0, size - 1)
            inside &= body[np.ix_(*moved)]
    return inside


def _outside(values: NDArray[Any], low: float, high: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return values < low, values > high
