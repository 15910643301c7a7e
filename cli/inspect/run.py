"""Table and JSON of a run directory, for `bedside inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tables.facts import facts_table, task_rows

if TYPE_CHECKING:
    from rich.table import Table

    from ...training.runs.run import Run
    from ...training.runs.run_config import Distillation, ModelConfig


def run_facts(run: Run) -> dict[str, Any]:
    """Returns a run's number of epochs, figures of last and best epoch, offsets and configuration as JSON values."""
    import msgspec

    rows, best = run.rows(), run.best_row()
    config: dict[str, Any] = msgspec.to_builtins(run.config, str_keys=True)
    return {
        "kind": "run",
        "epochs": len(rows),
        "last": _figures(rows[-1]) if rows else None,
        "best": _figures(best) if "dice" in best else None,
        "class_offsets": msgspec.to_builtins(run.best_weights().class_offsets),
        "config": config,
    }


def run_tables(run: Run) -> list[str | Table]:
    """Returns one table: network, task, data set, weights, and the figures of the best and the last epoch."""
    config = run.config
    facts = facts_table(f"Run {run.name} ({config.model.kind})")
    facts.add_row("network", _network(config.model))
    for name, value in task_rows(config.task):
        facts.add_row(name, value)
    if config.distillation is not None:
        facts.add_row("distillation", _distillation(config.distillation))
        if config.recipe.unlabelled:
            facts.add_row("without labels", f"{100 * config.recipe.unlabelled:.0f} % of the crops")
        if config.distillation.init:
            facts.add_row("started from", f"the weights with SHA-256 {config.distillation.init[:16]}…")
    facts.add_row("data set", f"{config.dataset}, {config.data_hash[:16]}")
    facts.add_row("code", f"bedside {config.code_version}")
    facts.add_row("weights", "best and last" if run.best.is_file() else "none yet")
    rows, best = run.rows(), run.best_row()
    facts.add_row("epochs", str(len(rows)))
    if "dice" in best:
        facts.add_row("best", _row_text(best))
    offsets = run.best_weights().class_offsets
    if offsets.dice is not None:
        facts.add_row("class offsets", f"looked for after {offsets.epochs} epochs; dice {offsets.dice:.6g} since")
    if rows:
        facts.add_row("last", _row_text(rows[-1]))
    return [facts]


def _distillation(record: Distillation) -> str:
    if not record.teachers:
        return f"λ = {record.lam:g}, no teacher"
    imitated = [f"{record.imitation} of {record.targets} targets"] if record.lam < 1 else []
    how = imitated + ["pseudo-labels"] * record.pseudo_labels
    return f"λ = {record.lam:g}, {' and '.join(how)}, by {record.teacher_names}"


def _network(model: ModelConfig) -> str:
    """Returns a teacher's title, which names its SAM and what differs from the paper; otherwise the recorded name."""
    from ...runtime.errors import UsageError
    from ...teacher.families import recorded_config

    if model.kind != "teacher":
        return model.name
    try:
        return recorded_config(model).title
    except UsageError:  # its family's package is not installed here
        return model.name


def _figures(row: dict[str, str]) -> dict[str, int | float]:
    return {name: int(value) if name == "epoch" else float(value) for name, value in row.items()}


def _row_text(row: dict[str, str]) -> str:
    """Joins an epoch's figures, without those of single organs, which would fill the screen."""
    return ", ".join(f"{name} {value}" for name, value in row.items() if value and not name.startswith("dice_"))
