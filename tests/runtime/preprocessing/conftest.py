"""A trunk drawn with a few lines of NumPy, as CT in HU and as MR."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


def draw_trunk(shape: tuple[int, int, int] = (48, 40, 36), seed: int = 0) -> NDArray[np.int16]:
    """CT in HU: air, fat, muscle, lungs with vessels, an organ with contrast agent, and bone of all densities."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = np.hypot(x / 0.85, y / 0.8)
    hu = np.full(shape, -1000.0)
    hu[radius < 1] = -100
    hu[radius < 0.85] = 50
    hu[(np.hypot(np.abs(x) - 0.35, y) < 0.25) & (z > 0.1)] = -820
    hu[(np.hypot(x - 0.3, y) < 0.3) & (z < -0.1)] = 110
    bone = np.hypot(x, y + 0.5) < 0.16
    hu[bone] = rng.uniform(150, 1500, int(bone.sum()))
    hu[(np.hypot(np.abs(x) - 0.35, y) < 0.04) & (z > 0.1)] = 40
    return np.maximum(hu + rng.normal(0, 14, shape), -1024).astype(np.int16)


@pytest.fixture(scope="session")
def trunk() -> NDArray[np.int16]:
    return draw_trunk()


@pytest.fixture(scope="session")
def brain_mr() -> NDArray[np.float32]:
    """T1-weighted: fluid, grey and white matter blend into each other; magnitudes, so nothing is negative."""
    rng = np.random.default_rng(1)
    coarse = rng.uniform(0, 1, (9, 8, 7))
    smooth = coarse.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    for axis in (0, 1, 2):
        smooth = (np.roll(smooth, 1, axis) + smooth + np.roll(smooth, -1, axis)) / 3
    evenly = smooth.ravel().argsort().argsort().reshape(smooth.shape) / smooth.size
    return np.abs(20 + 780 * evenly + rng.normal(0, 8, smooth.shape)).astype(np.float32)
