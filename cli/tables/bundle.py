"""Tables and JSON of a bundle, for `bedside inspect` and `bedside export`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .facts import facts_table, task_rows

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.bundles.bundle import Bundle
    from ...runtime.bundles.manifest import Manifest


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Returns a bundle's manifest as JSON values, with its size and that of each variant in bytes."""
    import msgspec

    manifest = bundle.manifest
    facts: dict[str, Any] = msgspec.to_builtins(manifest)
    for fields, variant in zip(facts["variants"], manifest.variants, strict=True):
        fields["bytes"] = manifest.variant_bytes(variant)
    return {"kind": "bundle", "bytes": manifest.total_bytes, **facts}


def bundle_tables(bundle: Bundle) -> list[str | Table]:
    """Returns tables of a bundle's facts, its variants and their Dice per organ, and the reasons of failed variants."""
    from rich.table import Table

    manifest = bundle.manifest
    origin = manifest.provenance
    facts = facts_table(f"Bundle {bundle.path.name} (intact)")
    for name, value in task_rows(manifest.task):
        facts.add_row(name, value)
    facts.add_row("overlap", f"{manifest.recommended_overlap:g} ({manifest.overlap_reason})")
    facts.add_row("post-processing", str(manifest.postprocessing))
    if manifest.locator is not None or manifest.locator_left_out:
        facts.add_row("locator", _locator(manifest))
    facts.add_row("student", origin.student)
    facts.add_row(
        "teacher", f"{origin.teacher or 'none'}" + (f", λ = {origin.lam:g}" if origin.lam is not None else "")
    )
    facts.add_row("training data", origin.data_hash[:16] or "not recorded")
    facts.add_row("exported", f"{origin.created}, bedside {origin.code_version}")
    facts.add_row("size", _megabytes(manifest.total_bytes))
    facts.add_row("licence", manifest.licence)
    facts.add_row("intended use", manifest.intended_use)

    variants = Table(
        "variant", "size", "same label", "largest probability difference", "mean Dice", "gate", title="Variants"
    )
    for variant in manifest.variants:
        parity, dice = variant.parity, variant.mean_dice
        variants.add_row(
            variant.name,
            _megabytes(manifest.variant_bytes(variant)),
            f"{100 * parity.label_agreement:.2f} %" if parity else "–",
            f"{parity.max_abs_probability:.4f}" if parity else "–",
            f"{dice:.4f}" if dice is not None else "–",
            variant.verdict,
        )
    reasons = [f"{variant.name} failed: {variant.gate_reason}" for variant in manifest.failed]
    parts: list[str | Table] = [facts, variants, *reasons]
    measured = [variant for variant in manifest.variants if variant.dice]
    if measured:
        dice = Table("organ", *(variant.name for variant in measured), title="Dice")
        for organ in (label for label in manifest.task.labels if label in measured[0].dice):
            dice.add_row(organ, *(f"{variant.dice[organ]:.4f}" for variant in measured))
        parts.append(dice)
    return parts


def _locator(manifest: Manifest) -> str:
    locator = manifest.locator
    if locator is None:
        return f"left out: {manifest.locator_left_out}"
    spacing = " × ".join(f"{step:g}" for step in locator.spacing)
    saved = "" if locator.windows_saved is None else f", saved {100 * locator.windows_saved:.0f} % of the windows"
    return f"{spacing} mm, probability {locator.threshold:g}, margin {locator.margin_mm:g} mm{saved}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
