"""`bedside inspect`: a bundle or a run directory at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import InputError
from .console import Console, JsonOption, QuietOption

if TYPE_CHECKING:
    from rich.table import Table

    from ..runtime.bundles.bundle import Bundle
    from ..runtime.bundles.manifest import Variant
    from ..runtime.task import Task
    from ..training.runs.run import Run


def command(
    path: Annotated[Path, typer.Argument(help="Bundle (directory or zip) or run directory.", show_default=False)],
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a bundle (task, variants and their figures, origin, licence) or a run (task, recipe, scores).

    A bundle's hashes are verified first, so this also tells whether it is intact.

    Example: bedside inspect demo/student.bedside
    """
    console = Console(json, quiet)
    if not path.exists():
        raise InputError(f'nothing at "{path.name}"; expected a bundle or a run directory')
    if (path / "config.toml").is_file():
        from ..training.runs.run import Run

        run = Run.open(path)
        console.show(*_run_tables(run))
        console.emit(_run_facts(run))
        return
    from ..runtime.bundles.bundle import Bundle

    with Bundle.open(path) as bundle:
        console.show(*bundle_tables(bundle))
        console.emit(bundle_facts(bundle))


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Returns what `inspect --json` says of a bundle: its manifest, with the size of each variant in bytes."""
    import msgspec

    manifest = bundle.manifest
    facts: dict[str, Any] = msgspec.to_builtins(manifest)
    for fields, variant in zip(facts["variants"], manifest.variants, strict=True):
        fields["bytes"] = _bytes(bundle, variant)
    total = sum(entry.size for entry in manifest.files.values())
    return {"kind": "bundle", "bytes": total, **facts}


def bundle_tables(bundle: Bundle) -> list[str | Table]:
    """Returns what a person sees of a bundle."""
    from rich.table import Table

    manifest = bundle.manifest
    origin = manifest.provenance
    facts = _facts_table(f"Bundle {bundle.path.name} (intact)")
    for name, value in _task_rows(manifest.task):
        facts.add_row(name, value)
    facts.add_row("overlap", f"{manifest.recommended_overlap:g} ({manifest.overlap_reason})")
    facts.add_row("post-processing", str(manifest.postprocessing))
    facts.add_row("student", origin.student)
    facts.add_row(
        "teacher", f"{origin.teacher or 'none'}" + (f", λ = {origin.lam:g}" if origin.lam is not None else "")
    )
    facts.add_row("training data", origin.data_hash[:16] or "not recorded")
    facts.add_row("exported", f"{origin.created}, bedside {origin.code_version}")
    facts.add_row("size", _megabytes(sum(entry.size for entry in manifest.files.values())))
    facts.add_row("licence", manifest.licence)
    facts.add_row("intended use", manifest.intended_use)

    verdicts = {True: "passed", False: "failed", None: "–"}
    variants = Table(
        "variant", "size", "same label", "largest probability difference", "mean Dice", "gate", title="Variants"
    )
    for variant in manifest.variants:
        parity = variant.parity
        variants.add_row(
            f"{variant.engine} {variant.precision}",
            _megabytes(_bytes(bundle, variant)),
            f"{100 * parity.label_agreement:.2f} %" if parity else "–",
            f"{parity.max_abs_probability:.4f}" if parity else "–",
            f"{sum(variant.dice.values()) / len(variant.dice):.4f}" if variant.dice else "–",
            verdicts[variant.passed],
        )
    failed = [variant for variant in manifest.variants if variant.passed is False]
    reasons = [f"{variant.engine} {variant.precision} failed: {variant.gate_reason}" for variant in failed]
    parts: list[str | Table] = [facts, variants, *reasons]
    measured = [variant for variant in manifest.variants if variant.dice]
    if measured:
        dice = Table("organ", *(f"{variant.engine} {variant.precision}" for variant in measured), title="Dice")
        for organ in (label for label in manifest.task.labels if label in measured[0].dice):
            dice.add_row(organ, *(f"{variant.dice[organ]:.4f}" for variant in measured))
        parts.append(dice)
    return parts


def _run_facts(run: Run) -> dict[str, Any]:
    import msgspec

    rows = run.rows()
    config: dict[str, Any] = msgspec.to_builtins(run.config, str_keys=True)
    return {
        "kind": "run",
        "epochs": len(rows),
        "last": rows[-1] if rows else None,
        "best": _best(run),
        "config": config,
    }


def _run_tables(run: Run) -> list[str | Table]:
    config = run.config
    facts = _facts_table(f"Run {run.name} ({config.model.kind})")
    facts.add_row("network", config.model.name)
    for name, value in _task_rows(config.task):
        facts.add_row(name, value)
    if config.distillation is not None:
        facts.add_row("distillation", f"λ = {config.distillation.lam:g}, {config.distillation.teacher or 'no teacher'}")
    facts.add_row("data set", f"{config.dataset}, {config.data_hash[:16]}")
    facts.add_row("code", f"bedside {config.code_version}")
    facts.add_row("weights", "best and last" if run.best.is_file() else "none yet")
    rows, best = run.rows(), _best(run)
    facts.add_row("epochs", str(len(rows)))
    if best is not None:
        facts.add_row("best", _row_text(best))
    if rows:
        facts.add_row("last", _row_text(rows[-1]))
    return [facts]


def _best(run: Run) -> dict[str, str] | None:
    """Returns the epoch with the highest validation Dice, None before the first validation."""
    try:
        scored = [row for row in run.rows() if row.get("dice")]
        return max(scored, key=lambda row: float(row["dice"]), default=None)
    except ValueError:
        raise InputError(f'the metrics in "{run.name}" hold a Dice that is no number; restore metrics.csv') from None


def _row_text(row: dict[str, str]) -> str:
    """Shows an epoch's figures but for the single organs, which would fill the screen."""
    return ", ".join(f"{name} {value}" for name, value in row.items() if value and not name.startswith("dice_"))


def _task_rows(task: Task) -> list[tuple[str, str]]:
    spacing, patch = (" × ".join(f"{value:g}" for value in triple) for triple in (task.spacing, task.patch))
    return [
        ("task", f"{task.name}, {task.modality.value}" + (f", {task.anatomy}" if task.anatomy else "")),
        ("labels", ", ".join(task.labels[1:])),
        ("grid", f"{spacing} mm, {task.orientation}; window {patch} voxels (x, y, z)"),
    ]


def _facts_table(title: str) -> Table:
    from rich.table import Table

    return Table("", "", title=title, show_header=False)


def _bytes(bundle: Bundle, variant: Variant) -> int:
    files = bundle.manifest.files
    weights = files.get(f"{variant.file.removesuffix('.xml')}.bin") if variant.file.endswith(".xml") else None
    return files[variant.file].size + (weights.size if weights else 0)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
