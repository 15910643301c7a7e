"""Caches the teacher's probabilities: the teacher segments each training case once, not once per step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..runtime import arguments
from ..runtime.files.atomic import atomic_write, make_folder
from ..runtime.hooks import Progress
from ..training.data.crops import CropSource
from ..training.data.prepared_case import PreparedCase
from ..training.loop.process_group import ProcessGroup
from ..training.loop.validate import predict_probabilities
from ..training.runs.run import Run

_CASES = "a list of prepared cases"


def cache_targets(
    teacher: torch.nn.Module,
    cases: Sequence[PreparedCase],
    run: Run,
    group: ProcessGroup,
    *,
    overlap: float,
    progress: Progress | None = None,
) -> list[CropSource]:
    """Runs the teacher on whole cases and stores its probabilities as ``[C, D, H, W]`` float16 arrays.

    Training then reads the targets of each crop from disk, and flips and rotates them with the crop. Blended over
    overlapping windows they are better than a single window's, and a step needs no forward pass of the teacher.

    Args:
        teacher: network with logits ``[B, C, D, H, W]``.
        cases: cases prepared with the task of the run.
        run: the student's run; its task's patch is the sliding window, and its folder ``targets`` gets the
            ``<case>.npy`` files. Existing files are kept.
        group: process group, which shares the cases; its devices run the teacher.
        overlap: overlap of the sliding windows, 0 ≤ overlap < 1.
        progress: called before each case of this process with (cases done, cases in total), and at the end.

    Returns:
        One source of crops per case, with the path of its targets.

    Raises:
        UsageError: an argument has another type, or the overlap is outside 0 ≤ overlap < 1.
    """
    teacher = arguments.instance("teacher", teacher, torch.nn.Module)
    cases = [arguments.instance("cases", case, PreparedCase) for case in arguments.sequence("cases", cases, _CASES)]
    run, group = arguments.instance("run", run, Run), arguments.instance("group", group, ProcessGroup)
    overlap = arguments.overlap_share("overlap", overlap)
    arguments.optional(arguments.callback, "progress", progress, "progress(done, total)")
    folder, task, device = make_folder(run.targets), run.config.task, group.device
    teacher = teacher.to(device).eval()
    missing = [case for case in cases if not _target(folder, case).exists()]
    group.wait()  # no process writes before all have listed the missing files
    share = missing[group.rank :: group.size]
    existing = len(cases) - len(missing)
    for number, case in enumerate(share):
        if progress:
            progress(existing + min(number * group.size, len(missing)), len(cases))
        probabilities = predict_probabilities(teacher, case, task, overlap=overlap, device=device)
        with atomic_write(_target(folder, case)) as temporary:
            np.save(temporary, probabilities.half().numpy())
    group.wait()
    if progress:
        progress(len(cases), len(cases))
    return [CropSource(case, _target(folder, case)) for case in cases]


def _target(folder: Path, case: PreparedCase) -> Path:
    return folder / f"{case.name}.npy"
