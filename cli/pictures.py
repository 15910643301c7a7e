"""The report's pictures: overlays in three planes and learning curves, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import MissingExtraError
from ..runtime.scans.nifti import read_labels, read_volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .demo_results import RunCurve

# One colour per label, distinct on grey; after the thirteenth they repeat.
COLOURS = (
    "#e6194b", "#f58231", "#ffe119", "#bfef45", "#3cb44b", "#a0522d", "#42d4f4", "#ff4d6d", "#4363d8", "#911eb4",
    "#f032e6", "#fabed4", "#aaffc3",
)  # fmt: skip


def _plt() -> Any:
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def overlay_picture(
    scan: Path, label_maps: Mapping[str, Path], labels: Sequence[str], window: tuple[float, float]
) -> bytes:
    """Draws axial, coronal and sagittal planes (rows) of one scan under several label maps (columns).

    All files must lie on the scan's grid. Shown as radiologists do: the patient's right on the viewer's left.

    Args:
        scan: NIfTI image.
        label_maps: column title → NIfTI labels; the first is the truth, through whose middle the planes go.
        labels: index → name.
        window: grey values from black to white, in HU.
    """
    volume = read_volume(scan)
    maps = {title: read_labels(path) for title, path in label_maps.items()}
    image = _towards_ras(volume.data, volume.grid.axes)
    overlays = {title: _towards_ras(labelled.data, labelled.grid.axes) for title, labelled in maps.items()}
    spacing = volume.grid.reoriented("RAS").spacing
    centre = _middle(next(iter(overlays.values())))

    plt = _plt()
    rows = (("axial", 2), ("coronal", 1), ("sagittal", 0))
    figure, axes = plt.subplots(len(rows), len(overlays), figsize=(3.1 * len(overlays), 8.2), squeeze=False)
    for row, (plane, axis) in enumerate(rows):
        across, up = (other for other in range(3) if other != axis)
        for column, (title, overlay) in enumerate(overlays.items()):
            axes_here = axes[row][column]
            grey = np.take(image, centre[axis], axis=axis).T
            chosen = np.take(overlay, centre[axis], axis=axis).T
            aspect = spacing[up] / spacing[across]
            axes_here.imshow(grey, cmap="gray", vmin=window[0], vmax=window[1], origin="lower", aspect=aspect)
            axes_here.imshow(_coloured(chosen), origin="lower", aspect=aspect, interpolation="nearest")
            if axis != 0:
                axes_here.invert_xaxis()
            axes_here.set_xticks([])
            axes_here.set_yticks([])
            if row == 0:
                axes_here.set_title(title, fontsize=11)
            if column == 0:
                axes_here.set_ylabel(plane, fontsize=11)
    _legend(figure, labels, np.unique(np.stack([np.asarray(overlay) for overlay in overlays.values()])))
    return _png(figure)


def curves_picture(curves: Sequence[RunCurve]) -> bytes:
    """Draws loss and validation Dice over epochs, one line per run."""
    plt = _plt()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
    for curve in curves:
        left.plot(curve.epochs, curve.loss, label=curve.title)
        if curve.dice:
            right.plot(*zip(*curve.dice, strict=True), marker="o", label=curve.title)
    left.set(xlabel="epoch", ylabel="training loss", title="Loss (each run's own: not comparable between runs)")
    right.set(xlabel="epoch", ylabel="mean Dice, 13 organs", title="Validation phantoms", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return _png(figure)


def _towards_ras(data: NDArray[Any], axes: str) -> NDArray[Any]:
    """Returns a view [X, Y, Z] whose axes grow towards right, anterior and superior."""
    order = [next(k for k, code in enumerate(axes) if code in pair) for pair in ("RL", "AP", "SI")]
    view = data.transpose(order)
    flips = tuple(slice(None, None, -1 if axes[k] in "LPI" else 1) for k in order)
    return view[flips]


def _middle(labels: NDArray[Any]) -> tuple[int, ...]:
    """Returns the voxel through which the most labelled voxels can be seen in each plane."""
    inside = labels > 0
    if not inside.any():
        return tuple(size // 2 for size in labels.shape)
    return tuple(
        int(inside.sum(axis=tuple(other for other in range(3) if other != axis)).argmax()) for axis in range(3)
    )


def _coloured(labels: NDArray[Any]) -> NDArray[np.float32]:
    from matplotlib.colors import to_rgba

    table = np.zeros((int(labels.max(initial=0)) + 1, 4), np.float32)
    for label in range(1, len(table)):
        table[label] = to_rgba(COLOURS[(label - 1) % len(COLOURS)], 0.55)
    return table[labels]


def _legend(figure: Figure, labels: Sequence[str], present: NDArray[Any]) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(color=COLOURS[(label - 1) % len(COLOURS)], label=str(labels[label]).replace("_", " "))
        for label in present
        if label > 0
    ]
    figure.legend(handles=patches, loc="lower center", ncols=5, fontsize=9, frameon=False)
    figure.subplots_adjust(left=0.03, right=0.995, top=0.96, bottom=0.1, wspace=0.02, hspace=0.03)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    _plt().close(figure)
    return buffer.getvalue()
