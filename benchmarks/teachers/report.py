"""Writes the table, the CSV and the learning curves of the runs that are finished."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from bedside.benchmarks.shared.curves import Curve, draw_curves, read_curve
from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import SeedScores, case_means, organ_distances, paired_gains
from bedside.training.scores.signed_rank import holm
from plan import ABLATIONS, ENSEMBLE, ROWS, TEACHERS, Plan, run_folder, scores_file

_ABLATED = "3d-sautomed"  # what the ablations are compared with


def read_scores(out: Path) -> dict[str, SeedScores]:
    """Returns row → seed → mean Dice over the organs per test case, of the finished runs, in the order of `ROWS`."""
    found: dict[str, SeedScores] = {}
    for name in (*TEACHERS, ENSEMBLE, *ABLATIONS):
        seeds = sorted(int(folder.name.rpartition("_")[2]) for folder in _folders(out, name))
        scores = {seed: case_means(scores_file(out, name, seed)) for seed in seeds}
        if scores:
            found[name] = scores
    return found


def write_report(out: Path) -> None:
    """Writes ``tables.md``, ``results.csv`` and ``curves.png``."""
    dice = read_scores(out)
    (out / "tables.md").write_text("\n".join([*_table(out, dice), ""]), encoding="utf-8")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("row", "seed", "dice", "hd95_mm", "organs_missed"))
        for name, seeds in dice.items():
            for seed, cases in seeds.items():
                distance, missed = _distance(out, name, [seed])
                lines.writerow((name, seed, f"{cases.mean():.4f}", f"{distance:.2f}", f"{missed:.4f}"))
    draw_curves(out / "curves.png", _panels(out))


def best_teacher(dice: Mapping[str, SeedScores]) -> str | None:
    """Returns the single teacher with the highest mean Dice over seeds and test cases."""
    means = {name: float(np.mean([*dice[name].values()])) for name in TEACHERS if name in dice}
    return max(means, key=means.__getitem__) if means else None


def _distance(out: Path, name: str, seeds: Iterable[int]) -> tuple[float, float]:
    """Returns the mean HD95 of the organs that were found, in mm, and the share of those that were not."""
    distances = np.concatenate([organ_distances(scores_file(out, name, seed)) for seed in seeds])
    found = np.isfinite(distances)
    return float(distances[found].mean()), 1 - float(found.mean())


def _table(out: Path, dice: Mapping[str, SeedScores]) -> Iterator[str]:
    from bedside.teacher.parameters import count_parameters

    plan, steps = load_plan(out, Plan), json.loads((out / "steps.json").read_text())
    best = best_teacher(dice)
    against = _cells(dice, best, [*TEACHERS, ENSEMBLE]) | _cells(dice, _ABLATED, list(ABLATIONS))
    yield f"Gain and p of teachers and ensemble: against {best}; of the ablations: against {_ABLATED}."
    yield ""
    yield "| | seeds | parameters | steps | Dice | HD95, mm | missed | CPU s per scan | gain | p | Holm p |"
    yield "| -- " * 11 + "|"
    for name, seeds in dice.items():
        size, made = "–", "–"
        if name in ROWS:
            config = plan.config_of(ROWS[name])
            network = config.build(plan.task.num_classes, plan.task.patch.dhw)
            size, made = f"{count_parameters(network, config.component).total:,}", f"{steps[name]:,}"
        means = [100 * float(cases.mean()) for cases in seeds.values()]
        spread = f" ± {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
        distance, missed = _distance(out, name, seeds)
        scan = [float((folder / "scan_seconds.txt").read_text()) for folder in _folders(out, name)]
        yield (
            f"| {name} | {len(means)} | {size} | {made} | {np.mean(means):.2f}{spread} | {distance:.2f} | {missed:.1%} "
            f"| {np.median(scan):.1f} | {against.get(name, '– | – | –')} |"
        )


def _cells(dice: Mapping[str, SeedScores], baseline: str | None, others: Sequence[str]) -> dict[str, str]:
    """Returns row → its cells gain, p and Holm's p against a baseline."""
    if baseline is None:
        return {}
    gains = paired_gains({name: dice[name] for name in (baseline, *others) if name in dice}, baseline)
    corrected = holm([p for _, p in gains.values()])
    return {
        name: f"{100 * gain:+.2f} | {p:.2g} | {holms:.2g}"
        for (name, (gain, p)), holms in zip(gains.items(), corrected, strict=True)
    }


def _panels(out: Path) -> dict[str, dict[str, Curve]]:
    """Returns title → row → learning curve; there is no panel of ablations before one of them has ended."""
    plan, steps = load_plan(out, Plan), json.loads((out / "steps.json").read_text())
    panels: dict[str, dict[str, Curve]] = {}
    ablated = any(_folders(out, name) for name in ABLATIONS)
    for title, names in (("teachers", TEACHERS), ("ablations", (_ABLATED, *ABLATIONS) if ablated else ())):
        for name in names:
            runs = [folder / "run" for folder in _folders(out, name)]
            curve = read_curve(runs, plan.seconds / steps[name] * plan.steps_per_epoch) if runs else None
            if curve is not None:
                panels.setdefault(title, {})[name] = curve
    return panels


def _folders(out: Path, name: str) -> list[Path]:
    """Returns the folders of a row's finished runs."""
    pattern = run_folder(out, name, 0).name.removesuffix("0")
    folders = sorted((out / "runs").glob(f"{pattern}*"))
    return [folder for folder in folders if (folder / "scores.csv").exists() and folder.name[len(pattern) :].isdigit()]
