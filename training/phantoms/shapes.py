"""The shapes of the phantom's anatomy, as approximate signed distances in millimetres, negative inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Point = tuple[float, float, float]


class Coordinates(NamedTuple):
    """Positions in mm, three arrays of one (broadcastable) shape: x to the right, y to the front, z to the head."""

    x: Array
    y: Array
    z: Array


class Box(NamedTuple):
    """An axis-aligned box in mm."""

    low: Point
    high: Point


class Shape(Protocol):
    """A closed body in space."""

    def distance(self, at: Coordinates) -> Array:
        """Returns the signed distance in mm at the given positions, negative inside; exact to first order."""
        ...

    def box(self) -> Box:
        """Returns a box that contains the shape."""
        ...

    def transformed(self, about: Point, scale: float, shift: Point) -> Shape:
        """Returns the shape scaled about a point, then shifted; both points in mm."""
        ...


def _moved(point: Point, about: Point, scale: float, shift: Point) -> Point:
    x, y, z = (a + scale * (p - a) + s for p, a, s in zip(point, about, shift, strict=True))
    return x, y, z


def centre(shape: Shape) -> Point:
    """Returns the middle of a shape's box."""
    low, high = shape.box()
    x, y, z = ((a + b) / 2 for a, b in zip(low, high, strict=True))
    return x, y, z


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, optionally turned about the y axis.

    Attributes:
        middle: its centre in mm.
        radii: half axes in mm.
        tilt: degrees in the frontal plane; positive leans the upper pole towards +x (the patient's right).
    """

    middle: Point
    radii: Point
    tilt: float = 0.0

    def distance(self, at: Coordinates) -> Array:
        """Returns k0 (k0 − 1) / k1 with k0 = |p/r| and k1 = |p/r²|: the first-order distance to an ellipsoid."""
        x, y, z = at.x - self.middle[0], at.y - self.middle[1], at.z - self.middle[2]
        if self.tilt:
            cosine, sine = np.float32(np.cos(np.deg2rad(self.tilt))), np.float32(np.sin(np.deg2rad(self.tilt)))
            x, z = cosine * x - sine * z, sine * x + cosine * z
        a, b, c = (np.float32(r) for r in self.radii)
        u, v, w = x / a, y / b, z / c
        k0 = np.sqrt(u * u + v * v + w * w)
        k1 = np.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2)
        tiny = np.float32(1e-4)  # in the centre k0 and k1 are 0; the distance there is −(smallest radius)
        return np.maximum(k0, tiny) * (k0 - 1) / np.maximum(k1, tiny / min(a, b, c))

    def box(self) -> Box:
        """Returns a box that holds the ellipsoid at any tilt."""
        reach = (max(self.radii[0], self.radii[2]),) * 3 if self.tilt else self.radii
        (x, y, z), (a, _, c), b = self.middle, reach, self.radii[1]
        return Box((x - a, y - b, z - c), (x + a, y + b, z + c))

    def transformed(self, about: Point, scale: float, shift: Point) -> Ellipsoid:
        """Returns the ellipsoid scaled about a point, then shifted."""
        a, b, c = (r * scale for r in self.radii)
        return replace(self, middle=_moved(self.middle, about, scale, shift), radii=(a, b, c))


@dataclass(frozen=True)
class Tube:
    """A tube of varying radius along a smooth curve.

    Attributes:
        path: the points it passes through, in mm.
        radii: its radius in mm at each point.
        steps: straight pieces per stretch between two points.
    """

    path: tuple[Point, ...]
    radii: tuple[float, ...]
    steps: int = 4

    def __post_init__(self) -> None:
        if len(self.path) < 2 or len(self.path) != len(self.radii):
            raise ValueError(f"tube: expected one radius per point, got {len(self.path)} and {len(self.radii)}")

    def _samples(self) -> NDArray[np.float64]:
        """Returns [N, 4] points (x, y, z, radius) of the Catmull-Rom curve through the path."""
        knots = np.array([(*p, r) for p, r in zip(self.path, self.radii, strict=True)])
        before, after = np.vstack([knots[:1], knots[:-1]]), np.vstack([knots[1:], knots[-1:]])
        t = np.arange(self.steps)[:, None] / self.steps
        pieces = [
            (2 * t**3 - 3 * t**2 + 1) * knots[i]
            + (t**3 - 2 * t**2 + t) * (after[i] - before[i]) / 2
            + (3 * t**2 - 2 * t**3) * knots[i + 1]
            + (t**3 - t**2) * (after[i + 1] - before[i + 1]) / 2
            for i in range(len(knots) - 1)
        ]
        return np.vstack([*pieces, knots[-1:]])

    def distance(self, at: Coordinates) -> Array:
        """Returns the distance to the nearest of the straight pieces, less the radius there."""
        samples = self._samples().astype(np.float32)
        nearest = np.full(at.x.shape, np.inf, np.float32)
        for start, end in pairwise(samples):
            ax, ay, az, ra = start
            dx, dy, dz, dr = end - start
            px, py, pz = at.x - ax, at.y - ay, at.z - az
            length2 = max(float(dx * dx + dy * dy + dz * dz), 1e-6)
            t = np.clip((px * dx + py * dy + pz * dz) / np.float32(length2), 0, 1)
            d = np.sqrt((px - t * dx) ** 2 + (py - t * dy) ** 2 + (pz - t * dz) ** 2) - (ra + t * dr)
            np.minimum(nearest, d, out=nearest)
        return nearest

    def box(self) -> Box:
        """Returns a box that holds the tube."""
        samples = self._samples()
        low, high = (samples[:, :3] - samples[:, 3:]).min(0), (samples[:, :3] + samples[:, 3:]).max(0)
        return Box((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))

    def transformed(self, about: Point, scale: float, shift: Point) -> Tube:
        """Returns the tube scaled about a point, then shifted."""
        path = tuple(_moved(p, about, scale, shift) for p in self.path)
        return replace(self, path=path, radii=tuple(r * scale for r in self.radii))


@dataclass(frozen=True)
class Union:
    """Several shapes blended into one.

    Attributes:
        parts: the shapes.
        blend: width of the blend in mm; 0 leaves a crease.
    """

    parts: tuple[Shape, ...]
    blend: float = 0.0

    def distance(self, at: Coordinates) -> Array:
        """Returns the (polynomially smoothed) minimum of the parts' distances."""
        total = self.parts[0].distance(at)
        for part in self.parts[1:]:
            other = part.distance(at)
            if self.blend > 0:
                overlap = np.maximum(self.blend - np.abs(total - other), 0) / np.float32(self.blend)
                total = np.minimum(total, other) - overlap * overlap * np.float32(self.blend / 4)
            else:
                total = np.minimum(total, other)
        return total

    def box(self) -> Box:
        """Returns a box that holds all parts."""
        lows, highs = zip(*(part.box() for part in self.parts), strict=True)
        low, high = np.min(lows, axis=0) - self.blend / 4, np.max(highs, axis=0) + self.blend / 4
        return Box((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))

    def transformed(self, about: Point, scale: float, shift: Point) -> Union:
        """Returns the union scaled about a point, then shifted."""
        return replace(self, parts=tuple(part.transformed(about, scale, shift) for part in self.parts))


@dataclass(frozen=True)
class Cut:
    """A shape minus other shapes.

    Attributes:
        whole: shape that is cut.
        away: shapes to remove from it.
    """

    whole: Shape
    away: tuple[Shape, ...]

    def distance(self, at: Coordinates) -> Array:
        """Returns max(whole, −away)."""
        total = self.whole.distance(at)
        for part in self.away:
            total = np.maximum(total, -part.distance(at))
        return total

    def box(self) -> Box:
        """Returns the box of the uncut shape."""
        return self.whole.box()

    def transformed(self, about: Point, scale: float, shift: Point) -> Cut:
        """Returns the cut shape scaled about a point, then shifted."""
        away = tuple(part.transformed(about, scale, shift) for part in self.away)
        return Cut(self.whole.transformed(about, scale, shift), away)
