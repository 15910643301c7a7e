"""Rotates crops by small angles and zooms them: patients lie differently and differ in size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

LARGEST_ANGLE = 15.0  # degrees, about each axis
LARGEST_ZOOM = 1.2


@dataclass(frozen=True)
class SmallAffine:
    """A rotation and a zoom about the centre of a crop.

    Attributes:
        theta: [3, 4], from the crop's coordinates to those of the original, both −1…1 along x, y, z, as
            `torch.nn.functional.affine_grid` takes it.
    """

    theta: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, extent_mm: tuple[float, float, float]) -> SmallAffine:
        """Draws angles of up to ±15° about each axis and a zoom between 1/1.2 and 1.2.

        Args:
            rng: random generator.
            extent_mm: size of the crop along x, y, z, so that a rotation is one in the patient, whatever the spacing.
        """
        angles = np.radians(rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, 3))
        zoom = LARGEST_ZOOM ** rng.uniform(-1, 1)
        return cls.of(angles, zoom, extent_mm)

    @classmethod
    def of(cls, angles: NDArray[np.float64], zoom: float, extent_mm: tuple[float, float, float]) -> SmallAffine:
        """Returns the transform of three angles, in radians about x, y, z in this order, and a zoom above 0."""
        rotation = np.eye(3)
        for axis, angle in enumerate(angles):
            first, second = (other for other in range(3) if other != axis)
            turn = np.eye(3)
            turn[[first, second], [first, second]] = np.cos(angle)
            turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
            rotation = turn @ rotation
        extent = np.array(extent_mm)
        matrix = rotation / zoom * extent / extent[:, None]
        return cls(np.hstack([matrix, np.zeros((3, 1))]))

    def __call__(self, crop: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Transforms the arrays ``[C, D, H, W]`` of a crop.

        The image is interpolated linearly; labels and a teacher's probabilities are those of the nearest voxel. Beyond
        the crop, the outermost voxels go on.
        """
        size = crop["image"].shape[1:]
        theta = torch.from_numpy(self.theta).float()
        grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)

        def sampled(name: str, array: torch.Tensor) -> torch.Tensor:
            mode = "bilinear" if name == "image" else "nearest"
            values = F.grid_sample(array[None].float(), grid, mode, padding_mode="border", align_corners=False)
            return values[0].to(array.dtype)

        return {name: sampled(name, array) for name, array in crop.items()}
