"""The result of one scan, as text for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.engine_selection.engine_choice import EngineChoice
    from ...runtime.labels.postprocess import Removal
    from ...runtime.result import Result


def volumes_table(result: Result) -> Table:
    """Returns the volume of each label in ml."""
    from rich.table import Table

    table = Table("label", "ml", title="Volumes")
    table.columns[1].justify = "right"
    for label, millilitres in result.volumes_ml.items():
        table.add_row(label, f"{millilitres:.1f}")
    return table


def summary(result: Result) -> str:
    """Returns one line on windows, engine and time, and one on post-processing where it removed something."""
    from ...runtime.engine_selection.trials import Setting
    from ...runtime.engines import CPU

    setting = Setting(result.engine, result.precision, device=result.device or CPU)
    seconds = sum(result.timings.values()) / 1000
    stages = ", ".join(f"{stage} {milliseconds / 1000:.2f}" for stage, milliseconds in result.timings.items())
    without_organ = f", {result.windows_without_organ} without organ" if result.windows_without_organ else ""
    removed = ", ".join(_removed(entry) for entry in result.postprocessing if entry.voxels)
    return (
        f"{result.windows} windows run, {result.windows_skipped} of air skipped{without_organ}; "
        f"{setting}; {seconds:.2f} s ({stages})"
    ) + (f"\npost-processing removed {removed}" if removed else "")


def as_json(result: Result, choice: EngineChoice) -> dict[str, object]:
    """Returns what ``--json`` prints: the result of one scan, and the choice of engine and precision."""
    import msgspec

    return {
        "choice": msgspec.to_builtins(choice),
        "volumes_ml": dict(result.volumes_ml),
        "timings_ms": dict(result.timings),
        "warnings": list(result.warnings),
        "notes": list(result.notes),
        "needs_review": result.needs_review,
        "engine": result.engine,
        "precision": result.precision,
        "device": result.device,
        "windows": result.windows,
        "windows_skipped": result.windows_skipped,
        "windows_without_organ": result.windows_without_organ,
        "shape": list(result.labels.shape),
        "postprocessing": msgspec.to_builtins(result.postprocessing),
    }


def _removed(entry: Removal) -> str:
    parts = "" if entry.components is None else f" in {entry.components} component{'s' * (entry.components != 1)}"
    return f"{entry.ml:.3g} ml of {entry.label}{parts} ({entry.step.replace('_', ' ')})"
