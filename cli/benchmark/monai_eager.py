"""The same student in MONAI: its transforms and sliding window around torch eager, as people run it without bedside."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...devices.measurement.chosen_variants import OpenedBundle
from ...devices.measurement.report import ColdStart, EndToEnd
from ...runtime.axes import XYZ
from ...runtime.errors import UsageError
from ...runtime.task import Task

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MonaiEager:
    """A bundle's student in MONAI and torch eager, see `Contender`; its weights are fresh: only time is compared.

    Attributes:
        student: registered name of the student.
        task: the bundle's task.
        threads: number of CPU threads.
        overlap: overlap of the windows in scans.
        label: name that tells it from the other variants.
        input: path of the scan; None for none.
    """

    student: str
    task: Task
    threads: int
    overlap: float
    label: str
    input: str | None
    engine: str = "monai"
    precision: str = "fp32"
    device: str = "CPU"
    on_card: bool = False

    @classmethod
    def of(cls, bundle: OpenedBundle, scan: Path | None, threads: int, overlap: float, label: str) -> MonaiEager:
        """Returns the contender for a bundle.

        Args:
            bundle: the bundle.
            scan: scan to segment; None for none.
            threads: number of CPU threads.
            overlap: overlap of the windows.
            label: name of the bundle where there are several; empty for none.

        Raises:
            UsageError: the student is none of bedside's, or MONAI has no transform for the task's intensities.
        """
        from ...distill import STUDENTS

        student, intensity = bundle.measured.student, bundle.task.intensity
        if student not in STUDENTS:
            raise UsageError(f'--against monai: "{student}" is no student of bedside, torch cannot build it')
        if intensity.clip_percentiles or intensity.standardise or intensity.scale_to is None:
            raise UsageError("--against monai: expected a task whose intensities are clipped and scaled, such as CT")
        name = ", ".join(part for part in (label, "MONAI, torch eager") if part)
        return cls(student, bundle.task, threads, overlap, name, None if scan is None else str(scan))

    @contextmanager
    def session(self) -> Generator[MonaiSession]:
        """Opens the session; it imports torch only when it starts."""
        yield MonaiSession(self)

    def engine_version(self) -> str:
        """Returns the versions of MONAI and torch."""
        from importlib.metadata import version

        return f"{version('monai')}, torch {version('torch')}"


class MonaiSession:
    """The steps of the student in MONAI, see `Session`."""

    def __init__(self, asked: MonaiEager) -> None:
        self._asked = asked
        self._network: torch.nn.Module | None = None

    def start(self, compiled: Path | None, keep: Path | None) -> ColdStart:
        """Imports torch and MONAI, builds the network and runs one window; nothing of it can be kept."""
        start = time.perf_counter()
        import torch

        from ...distill import build_student

        torch.set_num_threads(self._asked.threads)
        torch.manual_seed(0)
        self._network = build_student(self._asked.student, num_classes=self._asked.task.num_classes).eval()
        loaded = time.perf_counter()
        self.window()()
        first = time.perf_counter()
        return ColdStart(0.0, loaded - start, first - loaded, first - start)

    def self_test(self) -> None:
        """Tests nothing: fresh weights have no result to repeat."""

    def window(self) -> Callable[[], object]:
        """Returns the call that runs one window."""
        import torch

        network = self._ready()
        window = torch.randn(1, 1, *self._asked.task.patch.dhw, generator=torch.Generator().manual_seed(0))

        def run() -> object:
            with torch.inference_mode():
                return network(window)

        return run

    def open_scans(self) -> None:
        """Makes MONAI's transforms, from file to network input and back."""
        from monai.transforms.compose import Compose
        from monai.transforms.intensity.dictionary import ScaleIntensityRanged
        from monai.transforms.io.dictionary import LoadImaged
        from monai.transforms.post.dictionary import Invertd
        from monai.transforms.spatial.dictionary import Orientationd, Spacingd
        from monai.transforms.utility.dictionary import EnsureChannelFirstd

        task = self._asked.task
        low, high = task.intensity.clip
        self._prepare: Any = Compose(
            [
                LoadImaged("image"),
                EnsureChannelFirstd("image"),
                Orientationd("image", axcodes=task.orientation, labels=None),
                Spacingd("image", pixdim=task.spacing, scale_extent=task.anchor == "centre"),
                ScaleIntensityRanged("image", low, high, *task.intensity.normalised_range, clip=True),
            ]
        )
        self._restore: Any = Invertd("scores", transform=self._prepare, orig_keys="image", nearest_interp=False)

    def scan(self, progress: Callable[[float], object]) -> EndToEnd:
        """Segments the scan from file to label file; every window is computed, for MONAI skips none."""
        import nibabel
        import numpy as np
        import torch
        from monai.data.meta_tensor import MetaTensor
        from monai.inferers.utils import sliding_window_inference

        asked, network, seen = self._asked, self._ready(), list[int]()

        def predict(windows: torch.Tensor) -> torch.Tensor:
            seen.append(len(windows))
            return network(windows)

        with tempfile.TemporaryDirectory(prefix="bedside-benchmark-") as folder, torch.inference_mode():
            times = [time.perf_counter()]
            data = self._prepare({"image": asked.input})
            times.append(time.perf_counter())
            scores = sliding_window_inference(
                data["image"].as_tensor().permute(0, 3, 2, 1)[None],
                asked.task.patch.dhw,
                1,
                predict,
                overlap=asked.overlap,
                mode="gaussian",
                cval=asked.task.intensity.air,
            )
            times.append(time.perf_counter())
            data["scores"] = MetaTensor(scores[0].permute(0, 3, 2, 1))  # pyright: ignore[reportArgumentType, reportIndexIssue]
            labels = self._restore(data)["scores"].argmax(0).numpy().astype(np.uint8)
            times.append(time.perf_counter())
            affine = np.asarray(data["image"].meta["original_affine"])
            nibabel.save(nibabel.Nifti1Image(labels, affine), Path(folder) / "labels.nii.gz")  # pyright: ignore[reportPrivateImportUsage]
            times.append(time.perf_counter())
        progress(1.0)
        spent = [after - before for before, after in pairwise(times)]
        x, y, z = (int(size) for size in labels.shape)
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        return EndToEnd(
            shape=XYZ(x, y, z),
            spacing=(float(steps[0]), float(steps[1]), float(steps[2])),
            windows=sum(seen),
            windows_skipped=0,
            stages=dict(zip(("preprocess", "infer", "restore", "save"), spent, strict=True)),
            total_s=sum(spent),
        )

    def _ready(self) -> torch.nn.Module:
        if self._network is None:
            raise UsageError("expected a session that has started")
        return self._network
