"""What scoring a large case takes: bedside, MONAI on one-hot volumes, surface-distance on whole masks.

    python benchmarks/evaluate/scoring_cost.py [--repeats 3] [--methods bedside monai surface-distance] [-o table.md]

A phantom's 13 organs are brought to 512×512×215 voxels, or to ``--shape`` (MONAI takes some 8 GiB at that size).
The prediction is the truth moved by two voxels along each axis. ``--speck`` adds a voxel of each organ far away, as
networks do: its box then spans the scan. Every pass is a process of its own on one thread; CPU seconds and memory are
those beyond the start, the imports and the two label maps.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPACING = (0.8, 0.8, 1.5)
CLASSES = 14
Labels = NDArray[np.uint8]
Rows = list[list[float]]  # Dice, NSD, HD95 of each organ


def label_maps(folder: Path, shape: Sequence[int], speck: bool) -> None:
    """Writes truth and prediction, in the order of memory that a NIfTI file has."""
    from bedside.training.phantoms.phantom import generate_phantom

    source = generate_phantom(0).labels.data
    where = (np.arange(size) * old // size for size, old in zip(shape, source.shape, strict=True))
    truth = np.asfortranarray(source[np.ix_(*where)].astype(np.uint8))
    prediction = np.zeros_like(truth)
    prediction[2:, 2:, 2:] = truth[:-2, :-2, :-2]
    for label in range(1, CLASSES) if speck else ():
        prediction[5 + 3 * label, 5, 5] = label
    np.save(folder / "truth.npy", truth)
    np.save(folder / "prediction.npy", np.asfortranarray(prediction))


def prepare_bedside() -> Callable[[Labels, Labels], Rows]:
    from bedside.training.scores.metrics import evaluate_case

    def score(prediction: Labels, truth: Labels) -> Rows:
        scores = evaluate_case(prediction, truth, CLASSES, SPACING, 1.0)
        return np.stack([scores.dice, scores.nsd, scores.hd95], axis=1)[1:].tolist()

    evaluate_case(np.ones((4, 4, 4), np.uint8), np.ones((4, 4, 4), np.uint8), 2, SPACING)  # lazy imports happen here
    return score


def prepare_monai() -> Callable[[Labels, Labels], Rows]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
    from monai.networks.utils import one_hot

    def score(prediction: Labels, truth: Labels) -> Rows:
        a, b = (
            one_hot(torch.from_numpy(np.ascontiguousarray(labels))[None, None], CLASSES, dtype=torch.uint8)
            for labels in (prediction, truth)
        )
        tolerances = [1.0] * (CLASSES - 1)
        dice = compute_dice(a, b, include_background=False)
        nsd = compute_surface_dice(a, b, tolerances, spacing=SPACING, use_subvoxels=True)
        hd95 = compute_hausdorff_distance(a, b, percentile=95, spacing=SPACING)
        return torch.stack([dice[0], nsd[0], hd95[0]], dim=1).tolist()

    return score


def prepare_surface_distance() -> Callable[[Labels, Labels], Rows]:
    import surface_distance

    def score(prediction: Labels, truth: Labels) -> Rows:
        rows: Rows = []
        for label in range(1, CLASSES):
            found, there = prediction == label, truth == label
            distances = surface_distance.compute_surface_distances(there, found, SPACING)
            rows.append(
                [
                    surface_distance.compute_dice_coefficient(there, found),
                    surface_distance.compute_surface_dice_at_tolerance(distances, 1.0),
                    surface_distance.compute_robust_hausdorff(distances, 95),
                ]
            )
        return rows

    return score


METHODS = {"bedside": prepare_bedside, "monai": prepare_monai, "surface-distance": prepare_surface_distance}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(method: str, folder: Path) -> None:
    """Runs one pass and prints its figures as JSON."""
    warnings.simplefilter("ignore")
    prediction, truth = np.load(folder / "prediction.npy"), np.load(folder / "truth.npy")
    score = METHODS[method]()
    before, cpu, wall = peak_mib(), time.process_time(), time.monotonic()
    rows = score(prediction, truth)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print(json.dumps({"cpu": cpu, "wall": wall, "mib": peak_mib() - before, "peak": peak_mib(), "rows": rows}))


def measure(method: str, folder: Path) -> dict[str, float | Rows]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child", method, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{method}: ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def table(passes: dict[str, list[dict[str, float | Rows]]]) -> str:
    """Returns the best pass of each method, as a Markdown table."""
    best = {method: min(found, key=lambda each: each["cpu"]) for method, found in passes.items()}
    first = best[next(iter(best))]
    lines = ["| method | CPU s | ratio | more memory, MiB | ratio | peak, MiB | mean Dice | mean NSD | mean HD95 |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for method, found in best.items():
        means = np.nanmean(np.array(found["rows"], np.float64), axis=0)
        ratios = found["cpu"] / first["cpu"], found["mib"] / first["mib"]
        lines.append(
            f"| {method} | {found['cpu']:.1f} | {ratios[0]:.2f} | {found['mib']:,.0f} | {ratios[1]:.1f} | "
            f"{found['peak']:,.0f} | {means[0]:.4f} | {means[1]:.4f} | {means[2]:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--shape", type=int, nargs=3, default=[512, 512, 215])
    parser.add_argument("--speck", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        label_maps(Path(name), options.shape, options.speck)
        passes: dict[str, list[dict[str, float | Rows]]] = {method: [] for method in options.methods}
        for _ in range(options.repeats):  # interleaved, so that a busy minute affects all of them
            for method, found in passes.items():
                found.append(measure(method, Path(name)))
                print(method, {key: value for key, value in found[-1].items() if key != "rows"}, file=sys.stderr)
    text = table(passes)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
