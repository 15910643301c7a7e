"""The surface of a mask, in the two ways the field looks at it, and how far two surfaces lie apart.

MONAI's ``compute_surface_dice`` computes the same by convolving the whole box in float32. That takes 140 bytes per
voxel, 4.4 GiB for a box of 400×400×200, and networks like to leave a stray voxel that stretches a box over the scan.
Here a voxel of the box costs a few bytes. The table of areas is MONAI's, the search for the nearest point scipy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]
Axes = NDArray[np.float64]  # [3, 3] mm, column by column from a voxel to the next along each axis: says a shear too

_INSIDE = 0b1111_1111


@dataclass(frozen=True)
class Surface:
    """Points on the surface of a mask.

    Attributes:
        points: [points, 3] mm.
        areas: [points] mm², the surface around each point; ones where every point counts the same; zeros where a point
            is a border only because nothing is known beyond it.
    """

    points: NDArray[np.float64]
    areas: NDArray[np.float64]

    def distances_to(self, other: Surface) -> NDArray[np.float64]:
        """Returns each point's distance to the nearest point of another surface, [points] mm."""
        try:
            from scipy.spatial import KDTree
        except ImportError:
            raise MissingExtraError("scipy", "train") from None

        return KDTree(other.points).query(self.points)[0]


def surface_voxels(mask: Mask, spacing: Spacing | Axes, unknown: Mask | None = None) -> Surface:
    """Returns the voxels of a mask that have a face outside of it, for distances of Hausdorff's kind.

    Args:
        mask: [X, Y, Z]; outside the array is outside the mask.
        spacing: mm along the axes, or the axes themselves.
        unknown: [X, Y, Z] voxels outside the mask of which nothing is known.
    """
    border = mask & ~_inner(mask)
    points = _in_mm(border, spacing)
    if unknown is None:
        return Surface(points, np.ones(len(points)))
    return Surface(points, (~_inner(mask | unknown))[border].astype(np.float64))


def _inner(mask: Mask) -> Mask:
    """Returns the voxels of a mask that have no face outside of it."""
    inner = mask.copy()
    for axis in range(3):
        shrunk, whole = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        shrunk[1:] &= whole[:-1]
        shrunk[:-1] &= whole[1:]
        shrunk[[0, -1]] = False
    return inner


def surface_elements(mask: Mask, spacing: Spacing | Axes, unknown: Mask | None = None) -> Surface:
    """Returns the elements of a mask's surface at the corners of its voxels, with their areas (arXiv:1809.04430).

    The eight voxels around a corner, inside or outside, make a code; marching cubes lay a piece of surface through each
    code but those of all inside and all outside.

    Args:
        mask: [X, Y, Z]; outside the array is outside the mask.
        spacing: mm along the axes, or the axes themselves.
        unknown: [X, Y, Z] voxels outside the mask of which nothing is known.
    """
    areas, weights = _areas(spacing)
    codes = _codes(mask, weights)
    at_surface = (codes != 0) & (codes != _INSIDE)
    covered = areas[codes[at_surface]].astype(np.float64)
    if unknown is not None:
        covered[_codes(mask | unknown, weights)[at_surface] == _INSIDE] = 0
    return Surface(_in_mm(at_surface, spacing), covered)


def _codes(mask: Mask, weights: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns which of the eight voxels around each corner are inside, [X + 1, Y + 1, Z + 1]."""
    voxels = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros([size - 1 for size in voxels.shape], np.uint8)
    for corner, weight in np.ndenumerate(weights.reshape(2, 2, 2)):
        window = tuple(slice(start, start + size) for start, size in zip(corner, codes.shape, strict=True))
        codes += voxels[window] * np.uint8(weight)
    return codes


def _areas(spacing: Spacing | Axes) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Returns the area of each code's piece of surface in mm², [256], and what each of the eight voxels adds to a code.

    The pieces' normals, as long as their areas are large, turn into mm by the axes' cofactors.
    """
    try:
        from monai.metrics import utils
    except ImportError as error:
        raise MissingExtraError(error.name or "monai", "train") from None

    if isinstance(spacing, tuple):
        areas, weights = utils.create_table_neighbour_code_to_surface_area(spacing)
        return areas.numpy(), weights.numpy()
    _, weights = utils.create_table_neighbour_code_to_surface_area((1.0, 1.0, 1.0))
    normals = utils._get_neighbour_code_to_normals_table().numpy()  # pyright: ignore[reportPrivateUsage]
    cofactors = np.linalg.det(spacing) * np.linalg.inv(spacing).T
    return np.linalg.norm(normals @ cofactors.T, axis=-1).sum(axis=-1), weights.numpy()


def _in_mm(places: Mask, spacing: Spacing | Axes) -> NDArray[np.float64]:
    indices = np.argwhere(places).astype(np.float64)
    return indices * np.asarray(spacing) if isinstance(spacing, tuple) else indices @ spacing.T
