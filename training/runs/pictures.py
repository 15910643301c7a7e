"""Draws label maps over a scan in three planes, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError
from ...runtime.scans.volume import Volume
from ...runtime.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One colour per label, distinct on grey; they repeat after the thirteenth label.
COLOURS = (
    "#e6194b", "#f58231", "#ffe119", "#bfef45", "#3cb44b", "#a0522d", "#42d4f4", "#ff4d6d", "#4363d8", "#911eb4",
    "#f032e6", "#fabed4", "#aaffc3",
)  # fmt: skip
_PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Plane → index of the axis of ``[X, Y, Z]`` perpendicular to it."""


@dataclass(frozen=True)
class ScanSlices:
    """A scan to draw on, with RAS axes.

    Attributes:
        image: grey values ``[X, Y, Z]``.
        spacing: (x, y, z) in mm.
        window: grey values shown as black and as white.
        centre: voxel (x, y, z) that all three planes contain.
    """

    image: NDArray[Any]
    spacing: tuple[float, float, float]
    window: tuple[float, float]
    centre: tuple[int, ...]

    def draw(self, axes: Axes, plane: str, areas: NDArray[Any], outlines: NDArray[Any] | None = None) -> None:
        """Draws a plane as radiologists look at it: the patient's right on the viewer's left.

        Args:
            axes: matplotlib axes to draw on.
            plane: "axial", "coronal" or "sagittal".
            areas: labels ``[X, Y, Z]``, drawn as coloured areas.
            outlines: labels ``[X, Y, Z]``, drawn as coloured lines; None draws none, nor does a plane of one row.
        """
        across, up = (axis for axis in range(3) if axis != _PLANES[plane])
        aspect = self.spacing[up] / self.spacing[across]
        low, high = self.window
        axes.imshow(self.cut(self.image, plane), cmap="gray", vmin=low, vmax=high, origin="lower", aspect=aspect)
        axes.imshow(_coloured(self.cut(areas, plane)), origin="lower", aspect=aspect, interpolation="nearest")
        lines = None if outlines is None else self.cut(outlines, plane)
        if lines is not None and min(lines.shape) > 1:  # matplotlib draws no outline in a single row
            for label in np.unique(lines[lines > 0]):
                axes.contour(lines == label, levels=[0.5], colors=[label_colour(int(label))], linewidths=1.4)
        axes.set_xticks([])
        axes.set_yticks([])
        if across == 0:
            axes.invert_xaxis()  # last, because drawing an image resets the axis

    def cut(self, volume: NDArray[Any], plane: str) -> NDArray[Any]:
        """Returns a view of a plane through the centre, rows first."""
        axis = _PLANES[plane]
        return np.moveaxis(volume, axis, 0)[self.centre[axis]].T


def columns_picture(scan: ScanSlices, columns: Mapping[str, NDArray[Any]], names: Sequence[str]) -> bytes:
    """Draws the three planes (rows) of a scan under several label maps (columns).

    Args:
        scan: scan to draw on.
        columns: title → labels ``[X, Y, Z]``.
        names: label index → name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(3.1 * len(columns), 8.2)
    grid = figure.subplots(len(_PLANES), len(columns), squeeze=False)
    for row, plane in enumerate(_PLANES):
        for column, (title, labels) in enumerate(columns.items()):
            axes = grid[row][column]
            scan.draw(axes, plane, labels)
            if row == 0:
                axes.set_title(title, fontsize=11)
            if column == 0:
                axes.set_ylabel(plane, fontsize=11)
    figure.subplots_adjust(left=0.03, right=0.995, top=0.96, bottom=0.1, wspace=0.02, hspace=0.03)
    _legend(figure, names, columns.values())
    return png(figure)


def overlay_picture(
    scan: Volume, label_maps: Mapping[str, NDArray[Any]], names: Sequence[str], task: Task, centre_on: NDArray[Any]
) -> bytes:
    """Draws the three planes (rows) of a scan under several label maps (columns), in the task's window of grey values.

    Args:
        scan: scan to draw on.
        label_maps: title → labels ``[X, Y, Z]`` on the scan's grid.
        names: label index → name.
        task: gives the window of grey values.
        centre_on: mask or labels ``[X, Y, Z]``; `middle` of them places the planes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    low, high = task.intensity.clip
    if task.intensity.clip_percentiles:
        low, high = np.percentile(scan.data, (low, high)).tolist()
    axes = scan.grid.axes
    centre = middle(towards_ras(centre_on, axes))
    slices = ScanSlices(towards_ras(scan.data, axes), scan.grid.reoriented("RAS").spacing, (low, high), centre)
    columns = {title: towards_ras(labels, axes) for title, labels in label_maps.items()}
    return columns_picture(slices, columns, names)


def case_picture(image: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any], task: Task, title: str) -> bytes:
    """Draws the three planes of a prepared case: the prediction as coloured areas, the truth as outlines.

    Args:
        image: normalised image ``[D, H, W]``.
        truth: true labels ``[D, H, W]``; `middle` of them places the planes.
        prediction: predicted labels ``[D, H, W]``.
        task: spacing, orientation and label names.
        title: title of the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    grey, outlines, areas = (towards_ras(array.transpose(), task.orientation) for array in (image, truth, prediction))
    window = float(image.min()), float(image.max())
    scan = ScanSlices(grey, ras_spacing(task.spacing, task.orientation), window, middle(outlines))
    figure = new_figure(12, 5.2)
    for axes, plane in zip(figure.subplots(1, len(_PLANES)), _PLANES, strict=True):
        scan.draw(axes, plane, areas, outlines)
        axes.set_title(plane, fontsize=11)
    figure.suptitle(f"{title}: prediction filled, truth outlined", fontsize=11)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.88, bottom=0.16, wspace=0.02)
    _legend(figure, task.labels, (truth, prediction))
    return png(figure)


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure without a window on the screen; width and height in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None
    return Figure((width, height))


def png(figure: Figure) -> bytes:
    """Returns a figure encoded as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    return buffer.getvalue()


def label_colour(label: int) -> str:
    """Returns the colour of a label above 0."""
    return COLOURS[(label - 1) % len(COLOURS)]


def towards_ras(data: NDArray[Any], axes: str) -> NDArray[Any]:
    """Returns a view [X, Y, Z] on RAS axes of an array whose axes have the given codes."""
    view = data.transpose(_ras_order(axes))
    return view[tuple(slice(None, None, -1 if axes[k] in "LPI" else 1) for k in _ras_order(axes))]


def ras_spacing(spacing: Sequence[float], axes: str) -> tuple[float, float, float]:
    """Returns the spacing (x, y, z) of the view that `towards_ras` returns, in the unit of ``spacing``."""
    x, y, z = (spacing[k] for k in _ras_order(axes))
    return x, y, z


def _ras_order(axes: str) -> list[int]:
    return [next(k for k, code in enumerate(axes) if code in pair) for pair in ("RL", "AP", "SI")]


def middle(labels: NDArray[Any]) -> tuple[int, ...]:
    """Returns the voxel whose three planes each show the most labelled voxels."""
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
        table[label] = to_rgba(label_colour(label), 0.55)
    return table[labels]


def _legend(figure: Figure, names: Sequence[str], label_maps: Iterable[NDArray[Any]]) -> None:
    from matplotlib.patches import Patch

    # Plane by plane, because a search in whole label maps needs several times their memory.
    present = {int(label) for labels in label_maps for plane in labels for label in np.unique(plane)}
    patches = [
        Patch(color=label_colour(label), label=str(names[label]).replace("_", " ")) for label in sorted(present - {0})
    ]
    if patches:
        figure.legend(handles=patches, loc="lower center", ncols=5, fontsize=9, frameon=False)
