"""The learning curves of an experiment's arms, by the number of labelled cases."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from bedside.benchmarks.shared.curves import Curve, read_curve
from bedside.benchmarks.shared.plan import load_plan
from plan import ARMS, Plan


def read_curves(out: Path) -> dict[int, dict[str, Curve]]:
    """Returns number of labelled cases → arm → curve, of the arms that have validated, in the order of `ARMS`."""
    plan, steps = load_plan(out, Plan), json.loads((out / "steps.json").read_text())
    runs: dict[int, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted((out / "runs").glob("*/run/metrics.csv")):
        name, labelled, _ = file.parents[1].name.rsplit("_", 2)
        runs[int(labelled)][name].append(file.parent)
    found: dict[int, dict[str, Curve]] = {}
    for labelled, arms in sorted(runs.items()):
        for name in (name for name in ARMS if name in arms):
            step = ARMS[name].times * plan.seconds / steps[name]
            curve = read_curve(arms[name], step * plan.steps_per_epoch)
            if curve is not None:
                found.setdefault(labelled, {})[name] = curve
    return found
