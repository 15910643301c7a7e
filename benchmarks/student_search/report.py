"""Writes the table of a search: every design with its time per window and its validation Dice of each round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from plan import run_folder


def write_report(out: Path, against: Sequence[str]) -> None:
    """Writes ``tables.md``: what got furthest comes first, then the higher Dice of the last round.

    Args:
        out: folder of the search.
        against: students that take part in all rounds.
    """
    found = json.loads((out / "candidates.json").read_text())
    dice = {name: _dice(out, name) for name in (*found, *against)}
    order = sorted(dice, key=lambda name: (-len(dice[name]), -dice[name][-1] if dice[name] else 0.0))
    rounds = max(map(len, dice.values()), default=0)
    head = ["student", "channels", "decoder", "stem", "residual blocks", "time per window"]
    head += [f"Dice, round {number + 1}" for number in range(rounds)]
    lines = [f"| {' | '.join(head)} |", "| -- " * len(head) + "|"]
    for name in order:
        cells = [name, *(_design(found[name]) if name in found else ["–"] * 5)]
        cells += [f"{100 * value:.2f}" for value in dice[name]] + [""] * (rounds - len(dice[name]))
        lines.append(f"| {' | '.join(cells)} |")
    (out / "tables.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _design(found: dict[str, dict[str, list[int]]]) -> list[str]:
    design = found["design"]
    texts = [", ".join(map(str, design[key])) for key in ("channels", "decoder")]
    return [
        *texts,
        f"stride {design['stem_stride']}",
        "yes" if design["residual_blocks"] else "no",
        f"{found['time']:.2f}",
    ]


def _dice(out: Path, name: str) -> list[float]:
    """Returns the best validation Dice of each round that the student took part in."""
    values: list[float] = []
    while (file := run_folder(out, name, len(values)) / "dice.json").exists():
        values.append(json.loads(file.read_text()))
    return values
