"""Runs MONAI: its transforms and `sliding_window_inference` around the student in torch eager. Started by speed.py."""

from __future__ import annotations

from pathlib import Path

import monai
import numpy as np
import torch
from bedside.distill import load_student
from bedside.runtime import Grid, read_volume
from bedside.runtime.engines import default_threads
from bedside.runtime.labels.best_class import label_dtype
from job import MonaiJob, Outcome, answer, peak_bytes, read_job, timed
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from torch.utils.flop_counter import FlopCounterMode


class MonaiStudent:
    """The student in torch, ready to segment files."""

    def __init__(self, job: MonaiJob) -> None:
        student = load_student(Path(job.run))
        self.task = student.task.replaced(spacing=tuple(job.spacing), patch=tuple(job.patch))
        self.network, self._overlap = student.model, job.overlap
        low, high = self.task.intensity.clip
        self._prepare = Compose(
            [
                LoadImaged("image"),
                EnsureChannelFirstd("image"),
                Orientationd("image", axcodes=self.task.orientation, labels=None),
                Spacingd("image", pixdim=self.task.spacing, scale_extent=True),  # of the field of view, as in bedside
                ScaleIntensityRanged("image", low, high, *self.task.intensity.normalised_range, clip=True),
            ]
        )
        self._restore = Invertd("scores", transform=self._prepare, orig_keys="image", nearest_interp=False)

    @torch.inference_mode()
    def segment(self, scan: str) -> np.ndarray:
        """Returns the labels [X, Y, Z] on the scan's grid."""
        data = self._prepare({"image": scan})
        windows = data["image"].as_tensor().permute(0, 3, 2, 1)[None]
        scores = sliding_window_inference(
            windows,
            self.task.patch.dhw,
            1,
            self.network,
            overlap=self._overlap,
            mode="gaussian",
            cval=self.task.intensity.air,
        )
        data["scores"] = MetaTensor(scores[0].permute(0, 3, 2, 1))
        return self._restore(data)["scores"].argmax(0).numpy().astype(label_dtype(self.task.num_classes))

    def grid_mm(self, scan: str) -> float:
        """Returns how far the corners of the grid the network works on lie from those of bedside's grid, in mm."""
        image = self._prepare({"image": scan})["image"]
        own = Grid(image.shape[1:], image.affine.numpy())
        return own.distance(self.task.grid_over(read_volume(scan).grid))

    def flops(self) -> float:
        """Returns the network's floating-point operations for one window."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.network(torch.zeros(1, 1, *self.task.patch.dhw))
        return float(counter.get_total_flops())


def main() -> None:
    job = read_job(MonaiJob)
    torch.set_num_threads(job.threads or default_threads())
    student = MonaiStudent(job)
    flops = student.flops()
    student.segment(job.piece)
    seen = []
    student.network.register_forward_hook(lambda *_: seen.append(1))
    seconds: list[float] = []
    for _ in range(job.repeats):
        labels, spent = timed(lambda: student.segment(job.scan))
        seconds.append(spent)
    if job.labels:
        np.save(job.labels, labels)
    peak = peak_bytes()
    answer(
        Outcome(
            seconds=seconds,
            peak_bytes=peak,
            windows=len(seen) // job.repeats,
            flops=flops,
            grid_mm=student.grid_mm(job.scan),
            taken=f"torch {torch.__version__}, MONAI {monai.__version__}",
        )
    )


if __name__ == "__main__":
    main()
