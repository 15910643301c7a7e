"""What `bedside demo` shows with several seeds: whether its student gains with each, and how long it takes.

    python benchmarks/demo/seeds.py OUT [--seeds 7 1 2 3 4 5]

The command may be interrupted and given again: demos that are finished are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedside.cli.demo.command import LARGE_ORGANS
from bedside.runtime.errors import ExitCode

_COLUMNS = ("seed", "alone", "distilled", "gain", "in int8", "teacher", "least large organ, distilled", "minutes")


def run_demo(folder: Path, seed: int) -> dict[str, Any]:
    """Runs a demo unless it is finished; returns its results, also those of a demo that asks for a review."""
    results = folder / "results.json"
    if not results.exists():
        command = [sys.executable, "-m", "bedside", "demo", "-o", str(folder), "--seed", str(seed), "--quiet"]
        done = subprocess.run(command)
        if done.returncode not in (ExitCode.OK, ExitCode.REVIEW):
            raise SystemExit(done.returncode)
    return json.loads(results.read_text(encoding="utf-8"))


def table(results: Mapping[int, Mapping[str, Any]]) -> str:
    """Returns the Markdown table of demos: mean Dice over the 13 organs of the unseen phantoms, and the wall time.

    Args:
        results: seed → content of its ``results.json``.
    """
    rows: list[Sequence[str]] = [_COLUMNS, ["--"] * len(_COLUMNS)]
    for seed, found in results.items():
        dice = found["dice"]
        alone, distilled, int8, teacher = (_mean(dice[name]) for name in ("baseline", "fp32", "int8", "teacher"))
        least = min(dice["fp32"][organ] for organ in LARGE_ORGANS)
        minutes = sum(stage["seconds"] for stage in found["stages"]) / 60
        shown = (f"{each:.3f}" for each in (alone, distilled, distilled - alone, int8, teacher, least))
        rows.append([str(seed), *shown, f"{minutes:.1f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _mean(dice: Mapping[str, float]) -> float:
    return sum(dice.values()) / len(dice)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder that gets a demo for each seed, and table.md")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 1, 2, 3, 4, 5])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: dict[int, Mapping[str, Any]] = {}
    for seed in arguments.seeds:
        found[seed] = run_demo(arguments.out / f"seed-{seed}", seed)
        (arguments.out / "table.md").write_text(table(found) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
