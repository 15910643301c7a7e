"""The gate's verdict: decides class by class which variants may replace fp32, because a mean hides a lost organ."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..runtime.bundles.manifest import Variant

MAX_DICE_DROP = 0.01  # of any class on the gate cases, against fp32 with the same engine
LABEL_AGREEMENT = 0.99  # of voxels with the student's label, beside gate cases
LABEL_AGREEMENT_ALONE = 0.995  # where there are no gate cases


def judge(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Returns the variants with their verdict and, for those that failed, the reason.

    A variant passes if no class lost more than 0.01 Dice on the gate cases against fp32, and at least 99 % of the
    voxels have the student's label on the comparison's patches; without gate cases, if at least 99.5 % have. fp32
    passes: it would not have been exported otherwise. A variant that was not compared with the student gets no verdict.

    Args:
        variants: the measured variants, including fp32 of every engine.
    """
    references = {variant.engine: variant for variant in variants if variant.precision == "fp32"}
    return tuple(_judged(variant, references[variant.engine]) for variant in variants)


def _judged(variant: Variant, reference: Variant) -> Variant:
    if variant.parity is None:
        return variant
    reasons = [] if variant.precision == "fp32" else [*_lost(variant, reference), *_strayed(variant)]
    return msgspec.structs.replace(variant, passed=not reasons, gate_reason="; ".join(reasons))


def _lost(variant: Variant, reference: Variant) -> list[str]:
    drops = {organ: dice - variant.dice[organ] for organ, dice in reference.dice.items()}
    return [
        f"{organ}: Dice {variant.dice[organ]:.4f}, {drop:.4f} below fp32 (at most {MAX_DICE_DROP})"
        for organ, drop in drops.items()
        if drop > MAX_DICE_DROP
    ]


def _strayed(variant: Variant) -> list[str]:
    least = LABEL_AGREEMENT if variant.dice else LABEL_AGREEMENT_ALONE
    if variant.parity is None or variant.parity.label_agreement >= least:
        return []
    agreement = variant.parity.label_agreement
    return [f"{100 * agreement:.2f} % of the labels are the student's (at least {100 * least:g} %)"]
