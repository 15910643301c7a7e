"""Paints a phantom: blends HU by the share of each voxel inside a shape, and labels voxels with a share ≥ 0.5."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .anatomy import Hollow, Part, Phase
from .patient import Patient
from .shapes import Array, Coordinates, Point, Shape, centre

_AIR, _GAS = -1000.0, -940.0


class Canvas:
    """The image and label map a phantom is painted on."""

    def __init__(self, rng: Generator, at: Coordinates, edge_mm: float, patient: Patient, mottle: Array) -> None:
        self.rng, self.at, self.edge, self.patient, self.mottle = rng, at, np.float32(edge_mm), patient, mottle
        self.hu = np.full(at.x.shape, _AIR, np.float32)
        self.labels = np.zeros(at.x.shape, np.uint8)
        self.moves: dict[str, tuple[Point, float, Point]] = {}
        flat = [(c.min(o), c.max(o)) for c, o in zip(at, ((1, 2), (0, 2), (0, 1)), strict=True)]
        self.reach = flat  # per axis: the lowest and highest position in every plane

    def tone(self) -> float:
        """Draws the difference in HU between a tissue of this patient and the table."""
        return float(self.rng.normal(0, self.patient.tone))

    def fill(self, distance: Array, hu: float | Array, box: tuple[slice, ...] = (slice(None),) * 3) -> Array:
        """Blends HU in by the share of each voxel inside the shape; returns that share, 0…1."""
        share = np.clip(np.float32(0.5) - distance / self.edge, 0, 1)
        self.hu[box] += share * (hu - self.hu[box])
        return share

    def _box(self, shape: Shape) -> tuple[slice, ...]:
        low, high = shape.box()
        slices: list[slice] = []
        for axis, (least, most) in enumerate(self.reach):
            hit = np.flatnonzero((most >= low[axis] - self.edge) & (least <= high[axis] + self.edge))
            slices.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
        return tuple(slices)

    def paint(self, part: Part, viscera: Array) -> None:
        """Paints one row of the anatomy with this patient's position and size."""
        if self.rng.random() < part.absent:
            return
        group = part.group or part.name
        if group not in self.moves:
            x, y, z = np.clip(self.rng.normal(0, part.shift, 3), -2 * part.shift, 2 * part.shift)
            scale = float(np.clip(self.rng.normal(1, part.size), 1 - 2 * part.size, 1 + 2 * part.size))
            self.moves[group] = centre(part.shape), scale, (float(x), float(y), float(z))
        shape = part.shape.transformed(*self.moves[group])
        box = self._box(shape)
        at = Coordinates(*(c[box] for c in self.at))
        if at.x.size == 0:
            return
        distance = shape.distance(at)
        if part.clipped:
            distance = np.maximum(distance, viscera[box])
        if part.within is not None:
            host = np.where(self.labels[box] == part.label, np.float32(-99), np.float32(99))
            distance = np.maximum(distance, host)
        # Contrast makes veins and organs vary more than the plain tissue does.
        enhancement = part.hu[self.patient.phase] - part.hu[Phase.NATIVE]
        hu = part.hu[Phase.NATIVE] + enhancement * np.float32(self.rng.normal(1, 0.12)) + self.tone()
        share = self.fill(distance, hu, box)
        self.labels[box][share >= 0.5] = part.label
        if part.hollow is not None:
            self._fill_lumen(part.hollow, distance + np.float32(part.hollow.wall), at, box)

    def _fill_lumen(self, hollow: Hollow, distance: Array, at: Coordinates, box: tuple[slice, ...]) -> None:
        content = np.float32(self.rng.uniform(*hollow.content))
        gas = self.rng.uniform(-0.4, 1) * hollow.gas
        filling = content + np.float32(hollow.mottle) * self.mottle[box]
        inside = distance < 0
        if gas > 0 and inside.any():
            low, high = np.quantile(at.y[inside], (0.02, 0.98))
            surface = np.float32(high - gas * (high - low)) - at.y
            above = np.clip(np.float32(0.5) - surface / self.edge, 0, 1)
            filling = filling + above * (np.float32(_GAS) - filling)
        self.fill(distance, filling, box)
