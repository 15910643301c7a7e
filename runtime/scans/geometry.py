"""The voxel grid of a volume: its shape, and its affine from voxels to patient coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from nibabel.orientations import aff2axcodes, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from .. import arguments
from ..axes import ANCHORS, XYZ, Anchor
from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

SPACING_RANGE_MM = (0.01, 100.0)
_SPACING_ROUNDING = 1e-5  # relative; a header's single precision and a rotation round by less
MAX_OFFSET_MM = 1e5  # beyond 100 m the float32 affine of a NIfTI no longer resolves a voxel
SHEAR_TOLERANCE = 1e-3  # cosine between two axes; 1e-3 moves a corner of 512 voxels by half a voxel
_SHAPE = "three whole numbers, the voxels along x, y and z"
SAME_SPACING = 1e-3  # relative; within it a scan keeps its own spacing and is not resampled
MAX_SHEAR_DEGREES = 60.0  # gantries tilt by 30° at most; beyond twice that a voxel is a sliver and the header is wrong
_ROUNDING_VOXELS = 1e-6  # a field of view may exceed whole voxels by this much before it gets one more


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """A regular voxel grid in RAS+ millimetres.

    Index (i, j, k) is the *centre* of a voxel, and ``affine`` maps it to patient coordinates: x to the right, y to the
    front, z to the head. The grid's field of view reaches half a voxel beyond the outer centres.

    Attributes:
        shape: number of voxels along each axis of the array as stored; a plain (x, y, z) is converted.
        affine: [4, 4] float64, read-only.

    Raises:
        UsageError: ``shape`` is not a list of whole numbers.
        InputError: ``shape`` is not three sizes from 1, or ``affine`` is not finite, singular, or has a spacing
            outside 0.01…100 mm.

    >>> Grid((512, 512, 100), np.diag([0.8, 0.8, 5.0, 1.0]))
    Grid(512×512×100 voxels, 0.8×0.8×5 mm, RAS)
    """

    shape: XYZ
    affine: NDArray[np.float64]

    def __init__(self, shape: Sequence[int], affine: ArrayLike) -> None:
        sizes = tuple(arguments.whole_number("shape", size) for size in arguments.sequence("shape", shape, _SHAPE))
        if len(sizes) != 3 or min(sizes) < 1:
            raise InputError(f"grid: expected three axes of at least one voxel, got shape {sizes}; give one 3D volume")
        object.__setattr__(self, "shape", XYZ(*sizes))
        object.__setattr__(self, "affine", _checked_affine(affine))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres: the determinant of the affine, so shear counts too."""
        x, y, z = self.affine[:3, :3].T
        return abs(float(x @ np.cross(y, z))) / 1000

    @property
    def axes(self) -> str:
        """Closest axis codes: one letter per axis for the side that it points to (``"RAS"``, ``"LPS"``)."""
        return "".join(aff2axcodes(self.affine))

    @property
    def is_oblique(self) -> bool:
        """Whether an axis is tilted against the patient's axes by more than about 0.06°."""
        return bool(np.sort(np.abs(self._directions), axis=0)[:2].max() > SHEAR_TOLERANCE)

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not at right angles, as after a gantry tilt."""
        return self._shear > SHEAR_TOLERANCE

    @property
    def shear_degrees(self) -> float:
        """Largest deviation of two axes from a right angle, 0…90°; for a gantry tilt, the angle of the tilt."""
        return math.degrees(math.asin(min(1.0, self._shear)))

    @property
    def _shear(self) -> float:
        """Largest absolute cosine between two axes."""
        return float(np.abs(self._directions.T @ self._directions - np.eye(3)).max())

    def reoriented(self, orientation: str) -> Grid:
        """Returns the grid of the same voxels, with axes permuted and flipped to be closest to ``orientation``.

        Raises:
            UsageError: ``orientation`` is not three axis codes such as ``"RAS"``.
        """
        orientation = arguments.axis_codes("orientation", orientation)
        turn = ornt_transform(io_orientation(self.affine), axcodes2ornt(orientation))
        shape = [0, 0, 0]
        for axis, target in enumerate(turn[:, 0].astype(int)):
            shape[target] = self.shape[axis]
        return Grid(shape, self.affine @ inv_ornt_aff(turn, self.shape))

    def to_task_grid(self, orientation: str, spacing: tuple[float, float, float], anchor: Anchor = "centre") -> Grid:
        """Returns the task's grid over this field of view: in the task's axis order and spacing.

        The axes keep the scan's own directions (closest to ``orientation``), so an oblique scan is not rotated. Each
        axis gets ``round(size * old / new)`` voxels, at least one, and keeps its centre: the rounding is shared by both
        ends. Anchored to the first voxel, it gets as many as fit between the outer voxels' centres, rounded, and starts
        at that voxel's. A spacing within 0.1 % of the task's is kept, and nothing is interpolated along that axis.

        A sheared scan gets the closest grid with right angles and its own centre, see `straightened`.

        Args:
            orientation: axis codes of the task.
            spacing: (x, y, z) in mm along the axes of ``orientation``.
            anchor: what stays in place.

        Raises:
            UsageError: ``orientation`` is not three axis codes, ``spacing`` not three numbers above 0, or there is no
                such anchor.
            InputError: the axes are sheared by more than 60°.

        >>> Grid((512, 512, 100), np.diag([-0.8, -0.8, 5.0, 1.0])).to_task_grid("RAS", (1.5, 1.5, 1.5))
        Grid(273×273×333 voxels, 1.5×1.5×1.5 mm, RAS)
        """
        steps = arguments.millimetres("spacing", spacing)
        arguments.one_of("anchor", anchor, ANCHORS)
        if self.is_sheared:
            return self.straightened(orientation, spacing)
        own = self.reoriented(orientation)
        old = np.asarray(own.spacing)
        new = np.where(np.abs(np.asarray(steps) / old - 1) <= SAME_SPACING, old, np.asarray(steps))
        old_shape = np.asarray(own.shape)
        affine = own.affine.copy()
        affine[:3, :3] *= new / old
        if anchor == "first-voxel":
            return Grid((np.round((old_shape - 1) * old / new).astype(int) + 1).tolist(), affine)
        new_shape = np.maximum(1, np.floor(old_shape * old / new + 0.5)).astype(int)
        affine[:3, 3] += own.affine[:3, :3] @ ((old_shape - 1) / 2) - affine[:3, :3] @ ((new_shape - 1) / 2)
        return Grid(new_shape.tolist(), affine)

    def straightened(self, orientation: str, spacing: tuple[float, float, float]) -> Grid:
        """Returns the closest grid with right angles, large enough for the whole field of view.

        Its axes are the orthogonal matrix of the polar decomposition of this grid's axes: two axes at 70° are each
        rotated by 10°, and the order in which a file stores its axes makes no difference. The centre is kept.

        Args:
            orientation: axis codes to which the new axes are closest.
            spacing: (x, y, z) in mm along the new axes.

        Raises:
            InputError: the axes are sheared by more than 60°.
        """
        if self.shear_degrees > MAX_SHEAR_DEGREES:
            raise InputError(
                f"geometry: expected axes sheared by at most {MAX_SHEAR_DEGREES:g}° (a gantry tilts by 30°), "
                f"got {self.shear_degrees:.0f}°; correct the header"
            )
        own = self.reoriented(orientation)
        left, _, right = np.linalg.svd(own._directions)
        directions, edges = left @ right, own.affine[:3, :3] * np.asarray(own.shape)
        new, extent = np.asarray(spacing, float), np.abs(directions.T @ edges).sum(axis=1)
        new_shape = np.maximum(1, np.ceil(extent / new - _ROUNDING_VOXELS)).astype(int)
        affine = np.eye(4)
        affine[:3, :3] = directions * new
        centre = own.affine[:3, 3] + own.affine[:3, :3] @ ((np.asarray(own.shape) - 1) / 2)
        affine[:3, 3] = centre - affine[:3, :3] @ ((new_shape - 1) / 2)
        return Grid(new_shape.tolist(), affine)

    @property
    def _directions(self) -> NDArray[np.float64]:
        return self.affine[:3, :3] / np.asarray(self.spacing)

    def distance(self, other: Grid) -> float:
        """Returns the largest distance between corresponding corners, in mm; infinity if the shapes differ."""
        arguments.instance("other", other, Grid)
        if self.shape != other.shape:
            return math.inf
        corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.array(self.shape) - 1
        return float(np.linalg.norm(corners @ (self.affine - other.affine).T, axis=1).max())

    def coincides(self, other: Grid) -> bool:
        """Whether two grids are equal except for the rounding of headers: within 1 % of the smallest spacing."""
        return self.distance(other) <= 0.01 * min(self.spacing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.shape == other.shape and bool(np.all(self.affine == other.affine))

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))

    def __repr__(self) -> str:
        size = "×".join(str(count) for count in self.shape)
        steps = "×".join(f"{step:.4g}" for step in self.spacing)
        sheared = f", sheared by {self.shear_degrees:.3g}°"
        tilt = sheared if self.is_sheared else ", oblique" if self.is_oblique else ""
        return f"Grid({size} voxels, {steps} mm, {self.axes}{tilt})"


def _checked_affine(values: ArrayLike) -> NDArray[np.float64]:
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "iuf" or np.ma.is_masked(values):
            raise TypeError
        affine = np.array(given, dtype=np.float64)
    except (ValueError, TypeError, RuntimeError):  # rows of different lengths, words, a tensor with a gradient
        raise InputError("affine: expected a 4×4 matrix of real numbers, got something else") from None
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        got = "NaN or Inf in it" if affine.shape == (4, 4) else f"shape {affine.shape}"
        raise InputError(f"affine: expected a finite 4×4 matrix, got {got}; correct the affine")
    if not np.array_equal(affine[3], [0, 0, 0, 1]):
        raise InputError(f"affine: expected last row 0 0 0 1, got {affine[3].tolist()}; correct the affine")
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = SPACING_RANGE_MM
    if not ((spacing >= low * (1 - _SPACING_ROUNDING)) & (spacing <= high * (1 + _SPACING_ROUNDING))).all():
        got = " × ".join(f"{step:.6g}" for step in spacing)
        raise InputError(f"spacing: expected {low:g}…{high:g} mm per axis, got {got}; correct the affine")
    if np.linalg.svd(affine[:3, :3] / spacing, compute_uv=False)[-1] < 1e-3:
        raise InputError("affine: expected three independent axes, got a singular matrix; correct the affine")
    if np.abs(affine[:3, 3]).max() > MAX_OFFSET_MM:
        raise InputError(f"affine: expected an origin within {MAX_OFFSET_MM:g} mm, got one beyond; correct the affine")
    affine.setflags(write=False)
    return affine
