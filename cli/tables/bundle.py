"""Tables and JSON of a bundle, for `bedside inspect` and `bedside export`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from .facts import facts_table, task_rows

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.bundles.bundle import Bundle
    from ...runtime.bundles.manifest import Manifest


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Returns a bundle's manifest as JSON values, with sizes in bytes, signature, and why a variant is not worth it."""
    import msgspec

    manifest = bundle.manifest
    facts: dict[str, Any] = msgspec.to_builtins(manifest)
    for fields, variant in zip(facts["variants"], manifest.variants, strict=True):
        fields["bytes"] = manifest.variant_bytes(variant)
        fields["not_worth_it"] = manifest.not_worth(variant)
    return {
        "kind": "bundle",
        "sha256": bundle.sha256,
        "bytes": manifest.total_bytes,
        "signed": bundle.is_signed,
        "signer": bundle.signer,
        "sbom": _sbom(bundle),
        **facts,
    }


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
    if manifest.is_trainable:
        facts.add_row("trainable", "yes: distill --init starts from its weights")
    facts.add_row("training data", origin.data_hash[:16] or "not recorded")
    if manifest.records_scans:
        facts.add_row("training scans", _scans(bundle))
    facts.add_row("exported", f"{origin.created}, bedside {origin.code_version}")
    if manifest.timed_on is not None:
        facts.add_row("timed on", f"{manifest.timed_on.cpu}, CPU threads: {manifest.timed_on.threads}")
    for precision, kept in groupby(manifest.sensitive_layers, lambda layer: layer.precision):
        layers = [f"{layer.name} ({100 * layer.price:.0f} %)" for layer in kept]
        facts.add_row(f"kept out of {precision}", f"{', '.join(layers)}: what each would use of the gate's bounds")
    facts.add_row("size", _megabytes(manifest.total_bytes))
    facts.add_row("SHA-256", bundle.sha256)
    facts.add_row("signature", _signature(bundle))
    facts.add_row("SBOM", _sbom(bundle) or "none")
    facts.add_row("licence", manifest.licence)
    facts.add_row("intended use", manifest.intended_use)

    variants = Table("variant", "size", "same label", "ms per window", "gate", title="Variants")
    gate = Table("variant", "mean Dice", "lost (95 % interval)", "|Δp| near borders", title="Against fp32")
    for variant in manifest.all_variants:
        parity, dice, borders = variant.parity, variant.mean_dice, list(variant.borders.values())
        variants.add_row(
            variant.name,
            "left out" if variant in manifest.left_out else _megabytes(manifest.variant_bytes(variant)),
            f"{100 * parity.label_agreement:.2f} %" if parity else "–",
            variant.window_time,
            variant.verdict,
        )
        gate.add_row(
            variant.name,
            f"{dice:.4f}" if dice is not None else "–",
            str(variant.dice_drop or "–"),
            f"{max(border.difference for border in borders):.4f}" if borders else "–",
        )
    reasons = [f"{variant.name} failed: {variant.gate_reason}" for variant in manifest.failed]
    reasons += [f"{each.name} is {manifest.not_worth(each)}" for each in manifest.variants if manifest.not_worth(each)]
    parts: list[str | Table] = [facts, variants, gate, *reasons]
    return parts + _dice_tables(manifest)


def _dice_tables(manifest: Manifest) -> list[str | Table]:
    """Returns a table of Dice per organ for each engine: all variants side by side do not fit a terminal."""
    from rich.table import Table

    tables: list[str | Table] = []
    for engine in dict.fromkeys(variant.engine for variant in manifest.all_variants):
        measured = [variant for variant in manifest.all_variants if variant.engine == engine and variant.dice]
        if not measured:
            continue
        table = Table("organ", *(variant.precision for variant in measured), title=f"Dice with {engine}")
        for organ in (label for label in manifest.task.labels if label in measured[0].dice):
            table.add_row(organ, *(f"{variant.dice[organ]:.4f}" for variant in measured))
        tables.append(table)
    return tables


def _locator(manifest: Manifest) -> str:
    locator = manifest.locator
    if locator is None:
        return f"left out: {manifest.locator_left_out}"
    spacing = " × ".join(f"{step:g}" for step in locator.spacing)
    saved = "" if locator.windows_saved is None else f", saved {100 * locator.windows_saved:.0f} % of the windows"
    return f"{spacing} mm, probability {locator.threshold:g}, margin {locator.margin_mm:g} mm{saved}"


def _signature(bundle: Bundle) -> str:
    if bundle.signer is not None:
        return f"by {bundle.signer}, which you trust"
    return "not compared with a key; --trust does that" if bundle.is_signed else "none"


def _sbom(bundle: Bundle) -> str | None:
    """Returns the name of the bill of materials, by the ending of CycloneDX's files."""
    return next((name for name in bundle.manifest.files if name.endswith(".cdx.json")), None)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _scans(bundle: Bundle) -> str:
    from ...training.runs.learned_from import LearnedFrom

    learned = LearnedFrom.of_bundle(bundle)
    recorded = f"{len(learned.scans)} recorded" + ("" if learned.knows_all else ", not all")
    return f"{recorded}: bedside dataset seen SCANS --by BUNDLE says which of yours are among them"
