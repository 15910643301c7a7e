"""Stores surface-distance's scores of small shapes for the tests, which then run without that package.

    python benchmarks/evaluate/save_reference_scores.py tests/training/scores/surface_distance.npz

Needs surface-distance (Apache-2.0; see README.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import surface_distance
from mask_pairs import shape_pairs

SIZE = 14
TOLERANCES_MM = (0.5, 1.0, 2.0)


def capture(file: Path) -> int:
    """Writes shapes and scores, without pickles; returns the number of shapes."""
    pairs = list(shape_pairs(1, SIZE))
    nsd, hd95 = np.empty((len(pairs), len(TOLERANCES_MM))), np.empty(len(pairs))
    for i, pair in enumerate(pairs):
        distances = surface_distance.compute_surface_distances(pair.truth, pair.prediction, pair.spacing)
        hd95[i] = surface_distance.compute_robust_hausdorff(distances, 95)
        for j, tolerance in enumerate(TOLERANCES_MM):
            nsd[i, j] = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
    np.savez_compressed(
        file,
        kinds=np.array([pair.kind for pair in pairs]),
        truths=np.packbits([pair.truth for pair in pairs]),
        predictions=np.packbits([pair.prediction for pair in pairs]),
        size=SIZE,
        spacings=np.array([pair.spacing for pair in pairs]),
        tolerances_mm=np.array(TOLERANCES_MM),
        nsd=nsd,
        hd95=hd95,
    )
    return len(pairs)


if __name__ == "__main__":
    print(capture(Path(sys.argv[1])), "shapes")
