"""Brings a label map onto the grid of its image, along whatever axes it is stored."""

from __future__ import annotations

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

from ...runtime.errors import InputError
from ...runtime.scans.geometry import Grid
from ...runtime.scans.volume import Volume

TOLERANCE = 0.1  # of the smallest spacing: headers with spacings rounded to four decimals stay below it


def on_image_grid(labels: Volume, image: Grid) -> Volume:
    """Returns a label map on its image's grid, without interpolation.

    Raises:
        InputError: the label map has another size, or a corner lies further from the image's than `TOLERANCE`.
    """
    placed = reoriented_like(labels, image)
    if placed.grid.shape != image.shape:
        raise InputError(
            f"image and label map differ in size: {'×'.join(map(str, image.shape))} voxels against "
            f"{'×'.join(map(str, placed.grid.shape))}; export the label map again on the image's grid"
        )
    if not same_place(placed.grid, image):
        raise InputError(
            f"image and label map are on different grids, {distance_text(placed.grid, image)}; "
            "resample the label map onto the image's grid, or correct the header that is wrong"
        )
    return Volume(placed.data, image, labels.warnings)


def reoriented_like(labels: Volume, grid: Grid) -> Volume:
    """Returns a label map whose axes have the order and the directions of a grid's, without interpolation.

    Other tools store label maps as LPS or RAS, whatever the scan's axes are.
    """
    change = io_orientation(np.linalg.inv(grid.affine) @ labels.grid.affine)
    data = apply_orientation(labels.data, change)
    return Volume(data, Grid(data.shape, labels.grid.affine @ inv_ornt_aff(change, labels.grid.shape)), labels.warnings)


def same_place(labels: Grid, image: Grid) -> bool:
    """Whether each corner of two grids of one shape is within `TOLERANCE` of the other's."""
    return labels.distance(image) <= TOLERANCE * min(image.spacing)


def distance_text(labels: Grid, image: Grid) -> str:
    """Returns how far two grids are apart, and how far they may be, for a message."""
    return (
        f"{labels.distance(image):.3g} mm apart at a corner (at most {TOLERANCE:g} of the smallest spacing is allowed, "
        f"{TOLERANCE * min(image.spacing):.3g} mm)"
    )
