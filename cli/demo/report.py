"""The demo's report: one self-contained HTML page with pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...runtime.errors import MissingExtraError
from ...runtime.files.atomic import atomic_write
from ...runtime.scans.nifti import read_labels, read_volume
from ...training.runs.pictures import ScanSlices, columns_picture, label_colour, middle, new_figure, png, towards_ras
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
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
    )
    environment.filters["data_uri"] = _data_uri
    page = environment.get_template("report.html.j2").render(
        version=__version__,
        results=results,
        models=MODELS,
        organs=_organ_rows(results),
        larger={model: results.mean_dice(model, LARGER_ORGANS) for model in MODELS},
        all_organs={model: results.mean_dice(model, tuple(results.dice[model])) for model in MODELS},
        larger_names=[organ.replace("_", " ") for organ in LARGER_ORGANS],
        stages=_stage_rows(results),
        curves=curves_picture(results.curves),
        overlays=_overlays(results),
        host=results.benchmark["host"],
        variants=results.benchmark["variants"],
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


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
    low, high = results.task.intensity.clip
    predictions = results.folder / "predictions"
    pictures: list[dict[str, Any]] = []
    for scan in scans:
        columns = {
            "Truth": results.folder / "data" / "labelsTs" / scan.name,
            "Teacher": predictions / "teacher" / scan.name,
            "Student (fp32)": predictions / "fp32" / scan.name,
            "Student (int8)": predictions / "int8" / scan.name,
        }
        picture = overlay_picture(scan, columns, results.task.labels, (low, high))
        pictures.append({"name": scan.name.removesuffix(".nii.gz"), "picture": picture})
    return pictures


def overlay_picture(
    scan: Path, label_maps: Mapping[str, Path], labels: Sequence[str], window: tuple[float, float]
) -> bytes:
    """Draws axial, coronal and sagittal planes (rows) of one scan under several label maps (columns).

    All files must lie on the scan's grid.

    Args:
        scan: NIfTI image.
        label_maps: column title → NIfTI labels; the planes cut the middle of the first, the truth.
        labels: index → name.
        window: grey values from black to white, in HU.
    """
    volume = read_volume(scan)
    maps = {title: read_labels(path) for title, path in label_maps.items()}
    columns = {title: towards_ras(labelled.data, labelled.grid.axes) for title, labelled in maps.items()}
    image = towards_ras(volume.data, volume.grid.axes)
    centre = middle(next(iter(columns.values())))
    return columns_picture(ScanSlices(image, volume.grid.reoriented("RAS").spacing, window, centre), columns, labels)


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
