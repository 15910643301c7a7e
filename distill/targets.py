"""Caches the teacher's probabilities: the teacher segments each training case once, not once per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ..runtime import arguments
from ..runtime.files.atomic import atomic_write, make_folder
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.prepared_case import PreparedCase
from ..training.loop.process_group import ProcessGroup
from ..training.loop.validate import predict_probabilities

_CASES = "a list of prepared cases"


def cache_targets(
    teacher: torch.nn.Module,
    cases: Sequence[PreparedCase],
    task: Task,
    folder: Path,
    team: ProcessGroup,
    *,
    overlap: float,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> list[CropSource]:
    """Runs the teacher on whole cases and stores its probabilities as ``[C, D, H, W]`` float16 arrays.

    Training then reads the targets of each crop from disk, and flips and rotates them with the crop. Blended over
    overlapping windows they are better than a single window's, and a step needs no forward pass of the teacher.

    Args:
        teacher: network with logits ``[B, C, D, H, W]``.
        cases: cases prepared with the teacher's task.
        task: the task, whose patch is the sliding window.
        folder: folder of the ``<case>.npy`` files; existing files are kept.
        team: the processes, which share the cases.
        overlap: overlap of the sliding windows, 0 ≤ overlap < 1.
        device: device that runs the teacher.
        progress: called before each case of this process with (done, total), and at the end.

    Returns:
        One source of crops per case, with the path of its targets.

    Raises:
        UsageError: an argument has another type, or the overlap is outside 0 ≤ overlap < 1.
    """
    teacher = arguments.instance("teacher", teacher, torch.nn.Module)
    cases = [arguments.instance("cases", case, PreparedCase) for case in arguments.sequence("cases", cases, _CASES)]
    task, folder = arguments.instance("task", task, Task), arguments.path("folder", folder)
    team, device = arguments.instance("team", team, ProcessGroup), arguments.instance("device", device, torch.device)
    overlap = arguments.overlap_share("overlap", overlap)
    arguments.optional(arguments.callback, "progress", progress, "progress(done, total)")
    make_folder(folder)
    teacher = teacher.to(device).eval()
    missing = [case for case in cases if not _target(folder, case).exists()]
    team.wait()  # no process writes before all have listed the missing files
    share = missing[team.rank :: team.size]
    there = len(cases) - len(missing)
    for number, case in enumerate(share):
        if progress:
            progress(there + min(number * team.size, len(missing)), len(cases))
        probabilities = predict_probabilities(teacher, case, task, overlap=overlap, device=device)
        with atomic_write(_target(folder, case)) as temporary:
            np.save(temporary, probabilities.half().numpy())
    team.wait()
    if progress:
        progress(len(cases), len(cases))
    return [CropSource(case, _target(folder, case)) for case in cases]


def _target(folder: Path, case: PreparedCase) -> Path:
    return folder / f"{case.name}.npy"
