"""Restricts a label map to the body."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..scans.geometry import Grid
from .neighbours import nearest_index
from .resample import align, axes_along
from .voxel_mapping import VoxelMapping, along_axes_of, differ_in_shear


class BodyMask:
    """A body mask on the model's grid, stored as bits: an eighth of a byte per voxel.

    If the mask is empty, the whole scan counts as body, as it does for the windows.

    Args:
        grid: the model's grid.
        margin: number of planes by which the mask is dilated along z; 0 if it has been dilated already.
    """

    def __init__(self, grid: Grid, margin: int = 0) -> None:
        self._grid = grid
        self._margin = margin
        self._planes: list[NDArray[np.uint8]] = []

    def add(self, plane: NDArray[np.bool_]) -> None:
        """Appends the next plane [H, W] of the mask along the model's z (see `body.body_mask`, `body.plane_mask`).

        Raises:
            InputError: the plane has another shape than the grid, or the grid has no more planes.
        """
        depth, height, width = self._grid.shape.dhw
        if plane.shape != (height, width) or len(self._planes) == depth:
            raise InputError(
                f"body: expected {depth} planes of shape {(height, width)}, "
                f"got plane {len(self._planes) + 1} of shape {plane.shape}"
            )
        self._planes.append(np.packbits(plane))

    def clear_outside(self, label_map: NDArray[Any], source: Grid, num_classes: int) -> NDArray[np.int64]:
        """Sets labelled voxels to background where the closest mask voxel is not body; in place, plane by plane.

        Args:
            label_map: [X, Y, Z] label indices.
            source: grid of the label map.
            num_classes: number of labels, background included.

        Returns:
            [num_classes] number of voxels removed from each label; background's entry is 0.

        Raises:
            InputError: both grids have right angles and are not parallel, or planes are missing.
        """
        depth, height, width = self._grid.shape.dhw
        if len(self._planes) != depth:
            raise InputError(f"body: expected {depth} planes, got {len(self._planes)}")
        removed = np.zeros(num_classes, np.int64)
        if not any(plane.any() for plane in self._planes):
            return removed
        if differ_in_shear(self._grid, source):
            self._clear_sheared(label_map, source, removed)
            return removed
        maps = align(self._grid, source)
        z, y, x = axes_along(maps)
        closest = maps[z].unflipped(depth).nearest(depth)
        cells = np.ix_(maps[y].unflipped(height).nearest(height), maps[x].unflipped(width).nearest(width))
        for k, plane in zip(closest, label_map.transpose(z, y, x), strict=True):
            near = self._planes[max(0, k - self._margin) : k + self._margin + 1]
            inside = np.unpackbits(np.bitwise_or.reduce(near), count=height * width).reshape(height, width)
            outside = inside[cells] == 0
            outside &= plane > 0
            if outside.any():
                removed += np.bincount(plane[outside], minlength=num_classes)
                plane[outside] = 0
        return removed

    def _clear_sheared(self, label_map: NDArray[Any], source: Grid, removed: NDArray[np.int64]) -> None:
        labels, own = along_axes_of(label_map.T, source, self._grid)
        mapping = VoxelMapping(own, self._grid)
        for tile in mapping.tiles():
            values = labels[tile.plane, tile.rows, tile.columns]
            labelled = values > 0
            if not labelled.any():
                continue
            z, y, x = (
                nearest_index(mapping.positions(tile, axis)[labelled], size)
                for axis, size in enumerate(self._grid.shape.dhw)
            )
            outside = labelled.copy()
            outside[labelled] = ~self._is_body(z, y * self._grid.shape.x + x)
            removed += np.bincount(values[outside], minlength=len(removed))
            values[outside] = 0

    def _is_body(self, planes: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Returns [n] whether voxels are body, given their plane [n] and their flat index in that plane [n]."""
        byte, bit = places >> 3, np.uint8(128) >> (places & 7).astype(np.uint8)
        body = np.zeros(len(planes), np.bool_)
        for plane in np.unique(planes):
            here = planes == plane
            near = self._planes[max(0, plane - self._margin) : plane + self._margin + 1]
            body[here] = np.bitwise_or.reduce(near)[byte[here]] & bit[here] > 0
        return body
