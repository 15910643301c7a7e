"""Draws the variation between phantoms: build, posture, position in the scanner, contrast phase, dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .anatomy import Phase
from .shapes import Array, Coordinates, Point


@dataclass(frozen=True)
class Patient:
    """The properties that vary between phantoms.

    Attributes:
        scale: size along x, y, z relative to the table in `anatomy`.
        fat: thickness of the subcutaneous fat in mm.
        rotation: rotation about x, y, z in degrees.
        offset: position in the scanner, (x, y, z) in mm.
        phase: contrast phase of the scan.
        noise: standard deviation of the noise in HU, which represents the dose.
        tone: standard deviation in HU of this patient's tissues around the table.
    """

    scale: Point
    fat: float
    rotation: Point
    offset: Point
    phase: Phase
    noise: float
    tone: float = 7.0

    @classmethod
    def draw(cls, rng: Generator) -> Patient:
        """Draws a patient."""
        stature = rng.normal(1.0, 0.06)
        scale = [float(np.clip(stature * rng.normal(1.0, 0.04), 0.87, 1.13)) for _ in range(3)]
        rotation = [float(t) for t in np.clip(rng.normal(0, (2.0, 2.0, 3.0)), -7, 7)]
        offset = [float(o) for o in rng.uniform((-12, -8, 0), (12, 8, 0))]
        return cls(
            scale=(scale[0], scale[1], scale[2]),
            fat=float(rng.gamma(3.0, 4.5) + 4),
            rotation=(rotation[0], rotation[1], rotation[2]),
            offset=(offset[0], offset[1], offset[2]),
            phase=Phase(int(rng.choice(3, p=(0.2, 0.25, 0.55)))),
            noise=float(rng.uniform(6, 20)),
        )


def _spline_weights(positions: NDArray[np.float64]) -> Array:
    """Returns the cubic B-spline weights [N, knots] of positions in units of the knot distance, from 0."""
    knots = int(np.ceil(positions.max())) + 3
    t = np.abs(positions[:, None] - (np.arange(knots) - 1))
    near, far = 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)


def smooth_field(rng: Generator, axes: tuple[Array, Array, Array], knot_mm: float) -> Array:
    """Draws a smooth random field [X, Y, Z] of mean 0 and standard deviation about 1."""
    weights = [_spline_weights((axis - axis[0]).astype(np.float64) / knot_mm) for axis in axes]
    field = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    for axis, weight in enumerate(weights):
        field = np.moveaxis(np.tensordot(weight, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field) / np.float32(0.48**1.5)  # compensates the spline's smoothing


def _rotation(rotation: Point) -> NDArray[np.float64]:
    total = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rotation)):
        i, j = [a for a in range(3) if a != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        total = total @ step
    return total


def patient_frame(
    rng: Generator, scanner: Coordinates, axes: tuple[Array, Array, Array], patient: Patient
) -> Coordinates:
    """Converts scanner positions to the patient's frame: undoes posture and size, then adds a smooth deformation."""
    inverse = (_rotation(patient.rotation).T / np.array(patient.scale)[:, None]).astype(np.float32)
    moved = [c - np.float32(o) for c, o in zip(scanner, patient.offset, strict=True)]
    bent = [sum(inverse[i, j] * moved[j] for j in range(3)) for i in range(3)]
    amplitude = np.float32(rng.uniform(2.5, 5.5))
    x, y, z = (b + amplitude * smooth_field(rng, axes, 65.0) for b in bent)
    y = y + np.float32(rng.normal(0, 2.5e-4)) * z * z  # the curve of the spine
    return Coordinates(x, y, z)
