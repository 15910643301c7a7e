"""The networks of finished runs, their mean, and the label maps they make of test cases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from bedside.runtime.task import Task
    from bedside.training.data.dataset import Dataset


def mean_network(runs: Sequence[Path]) -> torch.nn.Module:
    """Returns a network whose probabilities are the mean of those of trained networks.

    Args:
        runs: their run directories; all have the same task.
    """
    import torch
    from bedside.distill.teachers import Teachers

    teachers = Teachers.open(runs)

    class MeanOfTeachers(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return teachers.crop_probabilities(images).log()

    return MeanOfTeachers()


def segment_test_cases(
    network: torch.nn.Module, task: Task, dataset: Dataset, folder: Path, *, overlap: float = 0.5
) -> float:
    """Writes label maps of the test cases that have none yet, named as the images.

    Args:
        network: network in evaluation mode.
        task: its task.
        dataset: data set with test cases.
        folder: folder to write, created if need be.
        overlap: overlap of neighbouring windows, 0…<1.

    Returns:
        CPU seconds per case that was segmented now; NaN if there was none.
    """
    import torch
    from bedside.runtime.scans.nifti import write_volume
    from bedside.training.loop.validate import segment_scan

    folder.mkdir(exist_ok=True)
    files = {case.image: folder / case.image.name for case in dataset.test}
    missing = [image for image, file in files.items() if not file.exists()]
    begun = time.process_time()
    for image in missing:
        labels, grid = segment_scan(network, image, task, overlap=overlap, device=torch.device("cpu"))
        write_volume(files[image], labels, grid)
    return (time.process_time() - begun) / len(missing) if missing else float("nan")
