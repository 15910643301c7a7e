"""The phantom's trunk: skin, fat, muscle, ribs, spine, lungs, heart, and the couch under the patient.

All functions expect positions in the patient's frame (see `anatomy`) and return distances in mm, negative inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Array, Coordinates, Ellipsoid, Union

VERTEBRA_MM, BODY_MM = 34.0, 27.0  # from one lumbar vertebra to the next, and the bony part of it
_RIB_MM, _RIB_WIDTH = 25.0, 9.0

_DIAPHRAGM = Union(
    (
        Ellipsoid((72, 40, 20), (80, 100, 102)),
        Ellipsoid((-74, 32, 14), (78, 96, 96)),
        Ellipsoid((0, 62, 20), (66, 80, 76)),
    ),
    blend=30,
)
_HEART = Ellipsoid((-20, 90, 142), (62, 46, 50), tilt=-25)


def _superellipse(x: Array, y: Array, half_width: float | Array, half_depth: float | Array, power: float) -> Array:
    """Returns the distance to |x/a|ⁿ + |y/b|ⁿ = 1 along the ray from the centre."""
    k = (np.abs(x / half_width) ** power + np.abs(y / half_depth) ** power) ** np.float32(1 / power)
    k = np.maximum(k, np.float32(1e-3))
    return np.sqrt(x * x + y * y) * (1 - 1 / k)


@dataclass(frozen=True)
class Trunk:
    """The distances of the trunk's layers at every voxel, all [X, Y, Z] in mm.

    Attributes:
        skin: outer surface of the body.
        muscle: outer surface of the wall's muscles; the subcutaneous fat is between it and the skin.
        cavity: inner surface of the wall, which encloses lungs and viscera.
        lungs: both lungs.
        heart: the heart with its blood.
        viscera: space of the abdominal organs: inside the cavity, below the diaphragm.
    """

    skin: Array
    muscle: Array
    cavity: Array
    lungs: Array
    heart: Array
    viscera: Array

    @classmethod
    def at(cls, at: Coordinates, fat: float) -> Trunk:
        """Computes the distances to all layers.

        Args:
            at: positions in mm, full arrays [X, Y, Z].
            fat: thickness of the subcutaneous fat in mm.
        """
        narrowing = np.clip((at.z - 95) * np.float32(0.0013), 0, 0.15) + np.clip(
            (-at.z - 15) * np.float32(7e-4), 0, 0.05
        )
        taper = 1 - narrowing
        muscle = _superellipse(at.x, at.y - 36, 154 * taper, 115, 2.25)
        cavity = _superellipse(at.x, at.y - 43, 141 * taper, 98, 2.25)
        groove = 7 * np.exp(-((at.x / 13) ** 2)) * (at.y < 0)
        behind = np.clip(-at.y / 90, 0, 1)
        skin = muscle - fat * (0.85 + 0.5 * behind + 0.25 * np.abs(at.x) / 150) + groove - 3

        dome = _DIAPHRAGM.distance(at)
        heart = np.maximum(_HEART.distance(at), 3 - dome)
        middle = _superellipse(at.x, at.y - 28, 27, 52, 2.0)
        front = _superellipse(at.x, at.y - 130, 16, 30, 2.0)
        spine = _superellipse(at.x, at.y + 34, 27, 46, 2.0)
        mediastinum = np.minimum.reduce([middle, front, spine, heart - 4])
        recess = (26 + 0.4 * (at.y + 50) - at.z) * np.float32(0.93)
        lungs = np.maximum.reduce([cavity + 1.5, 3.5 - dome, -mediastinum, recess])
        viscera = np.maximum.reduce([cavity + 2.5, 3.5 - lungs, 3 - heart])
        return cls(skin, muscle, cavity, lungs, heart, viscera)


def ribs(at: Coordinates, cavity: Array) -> Array:
    """Returns the distance to the ribs: bands in the chest wall that slope down towards the front."""
    along = at.z + np.float32(0.42) * at.y
    offset = np.abs(np.mod(along, _RIB_MM) - _RIB_MM / 2) - _RIB_WIDTH / 2
    lowest = 22 - along  # no ribs below the costal margin
    open_front = 26 - np.abs(at.x)
    in_front = np.where(at.y > 70, open_front, np.float32(-99))
    return np.maximum.reduce([np.abs(cavity - 4.5) - 3.5, offset * np.float32(0.92), lowest, in_front])


def _height_in_vertebra(z: Array) -> Array:
    return np.mod(z + VERTEBRA_MM / 2, VERTEBRA_MM) - VERTEBRA_MM / 2


def vertebral_bodies(at: Coordinates) -> Array:
    """Returns the distance to the vertebral bodies."""
    around = _superellipse(at.x, at.y, 23, 17, 2.2)
    return np.maximum(around, np.abs(_height_in_vertebra(at.z)) - BODY_MM / 2)


def discs(at: Coordinates) -> Array:
    """Returns the distance to the column of discs (the bodies are painted over it)."""
    return _superellipse(at.x, at.y, 23.5, 17.5, 2.2)


def canal(at: Coordinates) -> Array:
    """Returns the distance to the spinal canal."""
    return _superellipse(at.x, at.y + 25, 11, 8, 2.0)


def arches(at: Coordinates) -> Array:
    """Returns the distance to the vertebral arches with spinous and transverse processes."""
    height = _height_in_vertebra(at.z)
    ring = np.maximum(np.abs(canal(at) - 3.5) - 3, np.abs(height) - 12)
    spinous = np.maximum.reduce([np.abs(at.x) - 3.5, np.abs(at.y + 50) - 16, np.abs(height + 4) - 9])
    transverse = np.maximum.reduce([np.abs(np.abs(at.x) - 27) - 15, np.abs(at.y + 21) - 4.5, np.abs(height) - 6])
    return np.minimum(np.minimum(ring, spinous), transverse)


def back_muscles(at: Coordinates) -> Array:
    """Returns the distance to erector spinae, psoas and quadratus lumborum on both sides, and to the crura."""
    x = np.abs(at.x)
    erector = _superellipse(x - 29, at.y + 48, 33, 26, 2.2)
    widening = np.clip((70 - at.z) / 90, 0, 1.25)
    psoas = _superellipse(x - 36, at.y + 4, 6 + 13 * widening, 6 + 15 * widening, 2.0)
    quadratus = np.maximum(_superellipse(x - 68, at.y + 32, 20, 11, 2.0), at.z - 25)
    crura = np.maximum(_superellipse(x - 17, at.y - 16, 6, 15, 2.0), np.abs(at.z - 40) - 55)
    return np.minimum.reduce([erector, np.maximum(psoas, at.z - 66), quadratus, crura])


def couch(at: Coordinates, top: float) -> Array:
    """Returns the distance to the couch: a curved board under the patient, in the scanner's frame.

    Args:
        at: positions in the scanner's frame, mm.
        top: y of the board's lowest upper point.
    """
    radius = np.float32(420)
    board = np.abs(np.sqrt(at.x**2 + (at.y - (top + radius)) ** 2) - radius - 7) - 7
    return np.maximum(board, np.abs(at.x) - 205)
