"""How far NSD and HD95 lie from those of surface-distance, over random shapes of every kind.

    python benchmarks/evaluate/surface_distance_agreement.py [--rounds 5] [--size 32] [-o agreement.md]

Needs surface-distance (see README.md).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import surface_distance
from bedside.training.scores.metrics import evaluate_case
from mask_pairs import SPACINGS, ShapePair, shape_pairs


def compared(pair: ShapePair) -> tuple[float, float, float]:
    """Returns NSD at 1 mm minus that of surface-distance, then HD95 in mm of bedside and of surface-distance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # surface-distance uses deprecated names of scipy
        distances = surface_distance.compute_surface_distances(pair.truth, pair.prediction, pair.spacing)
    nsd = surface_distance.compute_surface_dice_at_tolerance(distances, 1.0)
    hd95 = surface_distance.compute_robust_hausdorff(distances, 95)
    masks = (mask.astype(np.uint8) for mask in (pair.prediction, pair.truth))
    scores = evaluate_case(*masks, 2, pair.spacing, 1.0)
    return float(scores.nsd[1] - nsd), float(scores.hd95[1]), float(hd95)


def table(found: dict[tuple[float, float, float], list[tuple[float, float, float]]]) -> str:
    """Returns one row per spacing as a Markdown table."""
    lines = [
        "| spacing mm | shapes | NSD: largest difference | HD95: equal | ours larger | ours smaller | "
        "median of ours − theirs, mm | 5 % … 95 %, mm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for spacing, rows in found.items():
        nsd, ours, theirs = np.array(rows).T
        gap = ours - theirs
        low, middle, high = np.percentile(gap, (5, 50, 95))
        same = np.abs(gap) < 1e-6
        lines.append(
            f"| {'×'.join(f'{step:g}' for step in spacing)} | {len(rows)} | {np.abs(nsd).max():.1e} | {same.sum()} | "
            f"{(gap >= 1e-6).sum()} | {(gap <= -1e-6).sum()} | {middle:.2f} | {low:.2f} … {high:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    found: dict[tuple[float, float, float], list[tuple[float, float, float]]] = {spacing: [] for spacing in SPACINGS}
    for pair in shape_pairs(options.rounds, options.size, seed=1):
        found[pair.spacing].append(compared(pair))
    text = table(found)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
