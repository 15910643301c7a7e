"""The rows of a comparison as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from comparison import AUTO, AUTO_SKIPPING_AIR, MONAI, NNUNET, Row

SAME_GRID_MM = 0.01


def table(rows: Sequence[Row]) -> str:
    """Returns the methods side by side, then where bedside's time went, then what ran and what it costs."""
    return "\n\n".join([_methods(rows), _stages([row for row in rows if row.outcome.stages]), *_remarks(rows)]) + "\n"


def _methods(rows: Sequence[Row]) -> str:
    fastest = monai_seconds(rows)
    lines = [
        "| method | seconds, best (slowest) | times MONAI's speed | peak memory, MB | windows | same label, body "
        "| worst class's Dice |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds, peak = row.outcome.seconds, row.outcome.peak_bytes
        lines.append(
            f"| {row.title} | {min(seconds):.2f} ({max(seconds):.2f}) | {fastest / min(seconds):.1f} "
            f"| {peak / 1e6:.0f} | {row.outcome.windows} | {row.agreement or '– | –'} |"
        )
    return "\n".join(lines)


def _stages(rows: Sequence[Row]) -> str:
    if not rows:
        return "No method of bedside's was run."
    stages = list(rows[0].outcome.stages)
    lines = [
        "| method | not the network, median | " + " | ".join(f"{stage}, ms" for stage in stages) + " |",
        "|---" * (len(stages) + 2) + "|",
    ]
    for row in rows:
        spent = " | ".join(f"{row.outcome.stages[stage]:.0f}" for stage in stages)
        lines.append(f"| {row.title} | {100 * median(row.outcome.beside):.1f} % | {spent} |")
    return "\n".join(lines)


def _remarks(rows: Sequence[Row]) -> list[str]:
    first, *rest = [min(row.outcome.seconds) for row in rows if row.method == MONAI]
    remarks = [f"MONAI took {first:.2f} s at the start and {last:.2f} s at the end." for last in rest]
    reasons = dict.fromkeys(row.outcome.reason for row in rows if row.method in (AUTO, AUTO_SKIPPING_AIR))
    remarks += [f"auto took {reason}." for reason in reasons]
    monai = next(row.outcome for row in rows if row.method == MONAI)
    if monai.grid_mm is not None and monai.grid_mm > SAME_GRID_MM:
        remarks.append(
            f"MONAI's grid lies up to {monai.grid_mm:.2f} mm from bedside's; for that reason alone labels differ."
        )
    student = monai.flops
    for row in rows:
        if row.method == NNUNET and row.outcome.flops and student:
            remarks.append(
                f"One window costs the student {student / 1e9:.1f} GFLOP and nnU-Net's network "
                f"{row.outcome.flops / 1e9:.1f} ({row.outcome.taken})."
            )
    return remarks


def monai_seconds(rows: Sequence[Row]) -> float:
    """Returns the fastest pass of MONAI, of those at the start and at the end."""
    return min(min(row.outcome.seconds) for row in rows if row.method == MONAI)
