"""Caches the teachers' probabilities: they segment each training case once, not once per step."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..runtime import arguments
from ..runtime.errors import InputError, ResourceError
from ..runtime.files.atomic import atomic_directory
from ..runtime.files.lock import Lock
from ..runtime.files.lock_file import lock_file
from ..runtime.hooks import Progress
from ..runtime.memory.memory_limit import check_memory
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.prepared_case import PreparedCase
from ..training.data.soft_labels import SoftLabels, expected_bytes, write_soft_labels
from ..training.loop.process_group import ProcessGroup
from .teachers import Teachers

_CASES = "a list of prepared cases"
_VERSION = 2  # increment when the same teachers and case give different targets
_STORING_BYTES = 9  # per class and voxel: the probabilities, the same as uint8, and in blocks
_RETRY_SECONDS = 0.2  # between two checks of a case that another training segments
_log = logging.getLogger("bedside.distill")


def cache_targets(
    teachers: Teachers,
    cases: Sequence[PreparedCase],
    task: Task,
    group: ProcessGroup,
    *,
    online_needs_fewer: bool = False,
    progress: Progress | None = None,
) -> list[CropSource]:
    """Runs the teachers on whole cases and stores the mean of their probabilities beside each prepared case.

    Training then reads the targets of each crop from disk, and flips and rotates them with the crop. Blended over
    overlapping windows they are better than a single window's, and a step needs no forward pass of the teachers. They
    are rounded to 1/255 and stored sparsely (see `SoftLabels`). All trainings with these teachers and cases share them;
    what an interrupted training has stored is kept.

    Args:
        teachers: the teachers.
        cases: prepared cases; those without labels get crop centres around the organs that the teachers find.
        task: the task that they were prepared for; a teacher of another grid reads the scans themselves.
        group: process group, which shares the cases; its devices run the teachers.
        online_needs_fewer: whether the training could see the teachers online, for the message of a full disk.
        progress: called before each case of this process with (cases done, cases in total), and at the end.

    Returns:
        One source of crops per case, with its targets.

    Raises:
        InputError: a scan that a teacher has to read cannot be read any more.
        UsageError: an argument has another type.
        ResourceError: the disk has no room for the targets, or memory does not suffice for the largest case.
    """
    teachers = arguments.instance("teachers", teachers, Teachers)
    cases = [arguments.instance("cases", case, PreparedCase) for case in arguments.sequence("cases", cases, _CASES)]
    task = arguments.instance("task", task, Task)
    group = arguments.instance("group", group, ProcessGroup)
    arguments.optional(arguments.callback, "progress", progress, "done", "total")
    key = targets_key(teachers)
    # The first process verifies the files for all, each once: hashing those of many cases takes a while.
    unique = {case.folder: case for case in cases}
    stored = group.broadcast_from_first(lambda: {folder: _open(case, key) for folder, case in unique.items()})
    missing = [case for folder, case in unique.items() if stored[folder] is None]
    group.broadcast_from_first(lambda: _check_room(missing, cases, online_needs_fewer))
    group.broadcast_from_first(lambda: _check_memory(teachers, missing, task))
    pending, existing = missing[group.rank :: group.size], len(cases) - len(missing)
    done = 0
    while pending:
        busy: list[PreparedCase] = []
        for case in pending:
            if progress:
                progress(existing + min(done * group.size, len(missing)), len(cases))
            if _stored(teachers, case, task, key, group):
                done += 1
            else:
                busy.append(case)
        if len(busy) == len(pending):
            time.sleep(_RETRY_SECONDS)
        pending = busy
    group.wait()
    if progress:
        progress(len(cases), len(cases))
    computed = group.broadcast_from_first(
        lambda: {case.folder: SoftLabels.open(_folder(case, key)) for case in missing}
    )
    return [_source(case, stored[case.folder] or computed[case.folder]) for case in cases]


def targets_key(teachers: Teachers) -> str:
    """Returns the key of the targets, part of a folder's name: 16 hexadecimal digits.

    It is a hash of the teachers' weights and windows, whatever their order.
    """
    decisive = sorted((member.sha256, list(member.task.patch)) for member in teachers.members)
    return hashlib.sha256(msgspec.json.encode((_VERSION, decisive))).hexdigest()[:16]


def _folder(case: PreparedCase, key: str) -> Path:
    return case.folder / f"teacher-{key}"


def _open(case: PreparedCase, key: str) -> SoftLabels | None:
    folder = _folder(case, key)
    if not folder.is_dir():
        return None
    try:
        return SoftLabels.open(folder)
    except InputError as error:
        _log.warning('the targets of "%s" are computed again: %s', case.name, error)
        return None


def _source(case: PreparedCase, soft_labels: SoftLabels) -> CropSource:
    source = CropSource(case, soft_labels)
    return source if case.labelled else source.around_soft_labels()


def _stored(teachers: Teachers, case: PreparedCase, task: Task, key: str, group: ProcessGroup) -> bool:
    """Computes and stores the targets of a case; returns False while another training does so."""
    folder = _folder(case, key)
    with lock_file(folder.with_name(f"{folder.name}.lock")) as locked:
        if locked.lock is Lock.HELD_BY_OTHER:
            return False
        if locked.lock is Lock.UNSUPPORTED:  # the targets of the process that ends last stay
            _log.info("the folder of prepared cases has no locks: processes may compute the same targets twice")
        if _open(case, key) is None:
            probabilities = teachers.probabilities(case, task, group.device)
            with atomic_directory(folder) as temporary:
                write_soft_labels(temporary, probabilities, body=None if case.labelled else case.centres(0))
    return True


def _check_room(missing: Sequence[PreparedCase], cases: Sequence[PreparedCase], online_needs_fewer: bool) -> None:
    """Checks that the disk has room for the missing targets, as estimated from the organs of the labelled cases."""
    if not missing:
        return
    labelled = [case for case in cases if case.labelled] or list(missing)
    sample = labelled[:: max(1, len(labelled) // 10)]
    per_voxel = sum(expected_bytes(np.asarray(case.organs())) for case in sample) / sum(
        _voxels(case) for case in sample
    )
    needed = int(per_voxel * sum(_voxels(case) for case in missing))
    free = shutil.disk_usage(missing[0].folder).free
    _log.info("the teachers segment %d cases; their targets need about %.1f MB", len(missing), needed / 1e6)
    if needed > free:
        raise ResourceError(
            f"the targets of {len(missing)} cases need about {needed / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free; "
            "make room, or put the prepared cases on another disk (--cases)"
            + ("; --teacher-targets online needs those of validation and unlabelled cases alone" * online_needs_fewer)
        )


def _check_memory(teachers: Teachers, missing: Sequence[PreparedCase], task: Task) -> None:
    """Checks that memory suffices for the largest case, before the teachers segment the first."""
    voxels = max((_voxels(case) for case in missing), default=0)
    needed = max(teachers.memory_needed(voxels, task), task.num_classes * voxels * _STORING_BYTES)
    coarser = "take a coarser grid, of the teachers too (--spacing)"
    check_memory(f"the teachers' segmentation of {voxels:,} voxels in {task.num_classes} classes", needed, coarser)


def _voxels(case: PreparedCase) -> int:
    return case.image().size
