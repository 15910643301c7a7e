"""The demo's report: one self-contained HTML page with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.files.html_page import write_page
from ...runtime.scans.nifti import read_labels, read_volume
from ...runtime.task import Task
from ...training.data.label_grid import on_image_grid
from ...training.runs.pictures import label_colour, new_figure, overlay_picture, png
from .divide import UnseenScan
from .results import MODELS, DemoResults, RunCurve

_SHOWN = 2  # scans drawn


@dataclass(frozen=True)
class _OrganRow:
    name: str
    colour: str
    dice: tuple[float | None, ...]


@dataclass(frozen=True)
class _StageRow:
    title: str
    command: str
    seconds: float
    megabytes: float


def write_report(path: Path, results: DemoResults) -> Path:
    """Writes the page and returns its path.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        ResourceError: the file cannot be written.
    """
    fields = {
        "results": results,
        "models": MODELS,
        "organs": _organ_rows(results),
        "mean": {model: results.mean_dice(model) for model in MODELS},
        "gain": gain_picture(results.dice),
        "scans": results.finished.data,
        "phantoms": results.finished.phantoms,
        "stages": _stage_rows(results),
        "curves": curves_picture(results.curves),
        "overlays": overlays(results.folder, results.scans, results.task),
        "host": results.benchmark["host"],
        "variants": results.benchmark["variants"],
    }
    return write_page(path, Path(__file__).with_name("report.html.j2"), fields)


def _organ_rows(results: DemoResults) -> list[_OrganRow]:
    return [
        _OrganRow(
            name.replace("_", " "),
            label_colour(index),
            tuple(results.dice[model].get(name) for model in MODELS),
        )
        for index, name in enumerate(results.task.labels)
        if index > 0 and name in results.dice["teacher"]
    ]


def _stage_rows(results: DemoResults) -> list[_StageRow]:
    stages = results.finished.stages
    return [_StageRow(stage.title, stage.command, stage.seconds, stage.peak_bytes / 1e6) for stage in stages]


def overlays(folder: Path, scans: Sequence[UnseenScan], task: Task) -> list[dict[str, Any]]:
    """Draws the truth, without ignored voxels, and the models' label maps over the first scans.

    Args:
        folder: the demo's folder.
        scans: the unseen scans.
        task: label names, and the window of grey values.

    Returns:
        ``name`` and ``picture`` (PNG) of each scan drawn.
    """
    shown = {
        "baseline": "Student, alone",
        "teacher": "Teacher",
        "fp32": "Student, distilled",
        "int8": "The same in int8",
    }
    pictures: list[dict[str, Any]] = []
    for scan in scans[:_SHOWN]:
        image = read_volume(scan.image)
        truth = on_image_grid(read_labels(scan.label), image.grid).data
        ignored = scan.ignored(truth)
        maps = {"Truth": truth if ignored is None else np.where(ignored, 0, truth)}
        maps |= {title: read_labels(scan.prediction(folder, model)).data for model, title in shown.items()}
        picture = overlay_picture(image, maps, task.labels, task, maps["Truth"])
        pictures.append({"name": scan.name, "picture": picture})
    return pictures


def gain_picture(dice: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draws each organ's Dice as an arrow from the student alone to the distilled student, and the teacher as a line.

    Args:
        dice: model → organ → mean Dice, of the models "baseline", "fp32" and "teacher".
    """
    organs = sorted(dice["baseline"], key=lambda organ: dice["fp32"][organ])
    figure = new_figure(9, 0.32 * len(organs) + 1.3)
    axes = figure.subplots()
    rows = range(len(organs))
    alone, distilled, teacher = ([dice[model][organ] for organ in organs] for model in ("baseline", "fp32", "teacher"))
    for row, start, end in zip(rows, alone, distilled, strict=True):
        axes.plot([start, end], [row, row], color="#2a7f62" if end >= start else "#c0392b", linewidth=3, zorder=1)
    axes.scatter(alone, rows, color="white", edgecolors="#555555", s=44, zorder=2, label=MODELS["baseline"])
    axes.scatter(distilled, rows, color="#2a7f62", s=44, zorder=3, label="Student, distilled")
    axes.scatter(teacher, rows, color="#222222", marker="|", s=120, zorder=2, label=MODELS["teacher"])
    axes.set(xlim=(0, 1), ylim=(-0.6, len(organs) - 0.4), xlabel="mean Dice over the unseen scans")
    axes.set_yticks(list(rows), [organ.replace("_", " ") for organ in organs])
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=9, loc="lower right")
    return png(figure)


def curves_picture(curves: Sequence[RunCurve]) -> bytes:
    """Draws loss and validation Dice over epochs, one line per run."""
    figure = new_figure(10, 3.4)
    left, right = figure.subplots(1, 2)
    for curve in curves:
        left.plot(curve.epochs, curve.loss, label=curve.title)
        if curve.dice:
            right.plot(*zip(*curve.dice, strict=True), marker="o", label=curve.title)
    left.set(xlabel="epoch", ylabel="training loss", title="Loss (each run's own: not comparable between runs)")
    right.set(xlabel="epoch", ylabel="mean Dice", title="Validation scans", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return png(figure)
