"""The report's pictures: overlays in three planes and learning curves, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.scans.nifti import read_labels, read_volume
from ...training.runs.pictures import Scan, columns_picture, middle, new_figure, png, towards_ras

if TYPE_CHECKING:
    from .results import RunCurve


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
    return columns_picture(Scan(image, volume.grid.reoriented("RAS").spacing, window, centre), columns, labels)


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
