"""The demo's figures: learning curves, sizes, and every model's Dice on unseen scans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.bundles.bundle import Bundle
from ...runtime.engines import ModelFormat
from ...runtime.scans.nifti import read_labels, write_volume
from ...runtime.task import Task
from ..terminal.console import Advance
from .divide import UnseenScan
from .folder import BUNDLE
from .stages import Finished

MODELS = {
    "teacher": "Teacher",
    "baseline": "Student, alone",
    "fp32": "Student, distilled (fp32)",
    "int8": "Student, distilled (int8)",
}


@dataclass(frozen=True)
class RunCurve:
    """Learning curve of one run.

    Attributes:
        title: what was trained.
        epochs: epoch numbers from 1.
        loss: mean loss of each epoch.
        dice: (epoch, mean Dice on the validation phantoms).
    """

    title: str
    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    dice: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class DemoResults:
    """Everything the report shows.

    Attributes:
        folder: the demo's folder.
        task: task of the models.
        finished: the commands that ran, and the division of the data set.
        curves: learning curves.
        dice: model → organ → mean Dice over the unseen scans; organs that none of them shows are left out.
        parameters: model → number of parameters.
        file_bytes: precision → size of the ONNX file in bytes.
        parity: the bundle's measured parity with the student in torch, per variant.
        benchmark: the benchmark's JSON object.
    """

    folder: Path
    task: Task
    finished: Finished
    curves: tuple[RunCurve, ...]
    dice: dict[str, dict[str, float]]
    parameters: dict[str, int]
    file_bytes: dict[str, int]
    parity: tuple[dict[str, Any], ...]
    benchmark: dict[str, Any]

    @property
    def scans(self) -> tuple[UnseenScan, ...]:
        """The unseen scans and their true label maps."""
        return self.finished.data.scans

    @property
    def gain(self) -> float:
        """Mean Dice of the distilled student above that of the same student alone, both in fp32."""
        return self.mean_dice("fp32") - self.mean_dice("baseline")

    def mean_dice(self, model: str) -> float:
        """Returns the mean Dice of a model over the organs."""
        return float(np.mean(list(self.dice[model].values())))

    def bundle_megabytes(self, precision: str) -> float:
        """Returns the size of a precision's ONNX file in MB."""
        return self.file_bytes[precision] / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as plain JSON values."""
        stages = [
            {"title": s.title, "command": s.command, "seconds": s.seconds, "peak_bytes": s.peak_bytes}
            for s in self.finished.stages
        ]
        return {
            "dice": self.dice,
            "gain": self.gain,
            "scans": {
                "teacher": self.finished.data.teacher_cases,
                "labelled": self.finished.data.labelled,
                "unlabelled": self.finished.data.unlabelled,
                "unseen": len(self.scans),
            },
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
            "parity": list(self.parity),
            "curves": [asdict(curve) for curve in self.curves],
            "stages": stages,
            "benchmark": self.benchmark,
        }


def collect(folder: Path, finished: Finished, progress: Advance) -> DemoResults:
    """Runs teacher and baseline over the unseen scans, scores all label maps, and gathers the figures.

    The teacher's and the baseline's label maps are written beside the bundle's under ``predictions``.
    """
    import torch

    from ...distill import load_student
    from ...training.loop.validate import segment_scan
    from ...training.runs.run import Run

    student = load_student(folder / "student")
    networks = {name: load_student(folder / name).model for name in ("teacher", "baseline")}
    task, scans = student.task, finished.data.scans
    for number, scan in enumerate(scans):
        for model, network in networks.items():
            path = scan.prediction(folder, model)
            labels, grid = segment_scan(network, scan.image, task, overlap=0.5, device=torch.device("cpu"))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(path, labels, grid)
        progress(number + 1, len(scans))

    counted = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    with Bundle.open(folder / BUNDLE) as bundle:
        manifest = bundle.manifest
    return DemoResults(
        folder=folder,
        task=task,
        finished=finished,
        curves=tuple(
            _curve(Run.open(folder / name).rows(), title)
            for name, title in (
                ("teacher", "Teacher"),
                ("student", "Student, distilled"),
                ("baseline", "Student, alone"),
            )
        ),
        dice=score_unseen(folder, scans, task.labels),
        parameters={**counted, "student": sum(p.numel() for p in student.model.parameters())},
        file_bytes={
            variant.precision: manifest.variant_bytes(variant)
            for variant in manifest.variants
            if variant.model_format is ModelFormat.ONNX
        },
        parity=tuple(
            {"engine": variant.engine, "precision": variant.precision, **_parity(variant.parity)}
            for variant in manifest.variants
        ),
        benchmark=json.loads(finished.stages[-1].output),
    )


def score_unseen(folder: Path, scans: Sequence[UnseenScan], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Scores the label maps of all models on each scan's own grid, without the voxels that its truth ignores.

    Args:
        folder: the demo's folder.
        scans: the unseen scans.
        labels: label index → name.

    Returns:
        model → organ → mean Dice over the scans that show the organ.

    Raises:
        InputError: a label map cannot be read, or is not on its scan's grid.
    """
    from ...training.data.label_grid import on_image_grid
    from ...training.scores.metrics import dice_per_class

    scores: dict[str, list[Any]] = {model: [] for model in MODELS}
    for scan in scans:
        stored = read_labels(scan.label)
        for model, rows in scores.items():
            predicted = read_labels(scan.prediction(folder, model))
            truth = on_image_grid(stored, predicted.grid).data
            rows.append(dice_per_class(predicted.data, truth, len(labels), scan.ignored(truth)))
    return {model: _means(np.array(rows), labels) for model, rows in scores.items()}


def _parity(parity: Any) -> dict[str, Any]:
    import msgspec

    return {} if parity is None else msgspec.to_builtins(parity)


def _means(scores: Any, labels: Sequence[str]) -> dict[str, float]:
    """Returns organ → mean Dice over the cases that have it."""
    present = np.isfinite(scores)
    return {
        name: float(scores[present[:, index], index].mean())
        for index, name in enumerate(labels)
        if index > 0 and present[:, index].any()
    }


def _curve(rows: Sequence[dict[str, str]], title: str) -> RunCurve:
    return RunCurve(
        title,
        tuple(int(row["epoch"]) + 1 for row in rows),
        tuple(float(row["loss"]) for row in rows),
        tuple((int(row["epoch"]) + 1, float(row["dice"])) for row in rows if row.get("dice")),
    )
