"""The demo's report: one self-contained HTML page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.scans.nifti import read_labels, read_volume
from ...training.runs.html_page import write_page
from ...training.runs.pictures import label_colour, new_figure, overlay_picture, png
from .results import LARGER_ORGANS, MODELS, DemoResults, RunCurve

_SHOWN = 2  # phantoms drawn


@dataclass(frozen=True)
class _OrganRow:
    name: str
    colour: str
    larger: bool
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
        "larger": {model: results.mean_dice(model, LARGER_ORGANS) for model in MODELS},
        "all_organs": {model: results.mean_dice(model, tuple(results.dice[model])) for model in MODELS},
        "larger_names": [organ.replace("_", " ") for organ in LARGER_ORGANS],
        "stages": _stage_rows(results),
        "curves": curves_picture(results.curves),
        "overlays": _overlays(results),
        "host": results.benchmark["host"],
        "variants": results.benchmark["variants"],
    }
    return write_page(path, Path(__file__).with_name("report.html.j2"), fields)


def _organ_rows(results: DemoResults) -> list[_OrganRow]:
    return [
        _OrganRow(
            name.replace("_", " "),
            label_colour(index),
            name in LARGER_ORGANS,
            tuple(results.dice[model].get(name) for model in MODELS),
        )
        for index, name in enumerate(results.task.labels)
        if index > 0 and name in results.dice["teacher"]
    ]


def _stage_rows(results: DemoResults) -> list[_StageRow]:
    """Returns one row per command; all `segment` calls share a row with their summed time and largest memory."""
    rows: list[_StageRow] = []
    segments = [stage for stage in results.stages if stage.arguments[0] == "segment"]
    for stage in results.stages:
        if stage.arguments[0] != "segment":
            rows.append(_StageRow(stage.title, stage.command, stage.seconds, stage.peak_bytes / 1e6))
        elif stage is segments[0]:
            title = f"Segment {results.unseen} unseen phantoms, in fp32 and in int8"
            peak = max(each.peak_bytes for each in segments) / 1e6
            rows.append(_StageRow(title, stage.command, sum(each.seconds for each in segments), peak))
    return rows


def _overlays(results: DemoResults) -> list[dict[str, Any]]:
    scans = sorted((results.folder / "data" / "imagesTs").glob("*.nii.gz"))[:_SHOWN]
    predictions = results.folder / "predictions"
    pictures: list[dict[str, Any]] = []
    for scan in scans:
        files = {
            "Truth": results.folder / "data" / "labelsTs" / scan.name,
            "Teacher": predictions / "teacher" / scan.name,
            "Student (fp32)": predictions / "fp32" / scan.name,
            "Student (int8)": predictions / "int8" / scan.name,
        }
        maps = {title: read_labels(path).data for title, path in files.items()}
        picture = overlay_picture(read_volume(scan), maps, results.task.labels, results.task, maps["Truth"])
        pictures.append({"name": scan.name.removesuffix(".nii.gz"), "picture": picture})
    return pictures


def curves_picture(curves: Sequence[RunCurve]) -> bytes:
    """Draws loss and validation Dice over epochs, one line per run."""
    figure = new_figure(10, 3.4)
    left, right = figure.subplots(1, 2)
    for curve in curves:
        left.plot(curve.epochs, curve.loss, label=curve.title)
        if curve.dice:
            right.plot(*zip(*curve.dice, strict=True), marker="o", label=curve.title)
    left.set(xlabel="epoch", ylabel="training loss", title="Loss (each run's own: not comparable between runs)")
    right.set(xlabel="epoch", ylabel="mean Dice, 13 organs", title="Validation phantoms", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return png(figure)
