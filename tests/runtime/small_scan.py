"""A scan of 12×10×9 voxels, as array, affine and grid."""

import numpy as np
from bedside.runtime import Grid

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
GRID = Grid((12, 10, 9), AFFINE)
HU = np.random.default_rng(3).integers(-1000, 1000, GRID.shape).astype(np.int16)
