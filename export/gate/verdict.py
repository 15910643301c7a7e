"""The verdict of the gate: which variants may replace fp32, and the reasons against the others.

Each class is judged for itself, because a mean hides a lost organ. Without gate cases only probabilities and labels of
some patches count, which can hide one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...runtime.bundles.figures import BorderProbabilities, Parity, SpuriousVolume
from ...runtime.bundles.variant import Variant

MAX_MEAN_DICE_DROP = 0.003  # of the organs' mean on the gate cases, against fp32 with the same engine
MAX_DICE_DROP = 0.01  # of any organ
# Of what a variant finds of an organ in a case without it, beyond fp32. Doubtful tissue flips by chance, some of it in
# any variant; an invented organ is a large part of one. Small organs are judged by the millilitre.
MAX_SPURIOUS_SHARE = 0.1  # of the organ's size
MAX_SPURIOUS_ML = 1.0  # or this, whichever is more
# Of any organ's probability in its border zone. int8 of trained students differs by 0.005 and shifts by 0.004; logits
# times 0.7, at equal labels, differ and shift by 0.026, and times 0.3 by 0.14.
MAX_BORDER_DIFFERENCE = 0.03  # on average
MAX_CONFIDENCE_SHIFT = 0.02  # of its systematic part; the rest is noise that cancels
GATE_LABEL_AGREEMENT = 0.99  # of voxels with the student's label, if there are gate cases
GATE_LABEL_AGREEMENT_ALONE = 0.995  # if there are none
GATE_FP16_AGREEMENT = 0.999  # of fp16, with and without them: it rounds, and nothing is calibrated


def judge(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Returns the variants with their verdict and, for those that failed, the reasons.

    A variant passes if

    - the mean Dice of the organs on the gate cases is at most 0.003 below that of fp32 with the same engine, and that
      of no organ more than 0.01 below;
    - in no gate case that lacks an organ it finds more of it than fp32 by a tenth of the organ's size and 1 ml;
    - no organ's probabilities differ from the student's by more than 0.03 on average near its borders, and their
      systematic part, the shift of confidence, is at most 0.02;
    - at least 99 % of the voxels of the comparison's patches have the student's label; without gate cases, 99.5 %; of
      fp16, 99.9 %.

    fp32 passes: it would not have been exported otherwise. A variant that was not compared with the student gets no
    verdict.

    Args:
        variants: the variants with their figures.
    """
    return tuple(_judged(variant) for variant in variants)


def without_figures(variant: Variant, reason: str) -> Variant:
    """Returns a variant as failed and without figures, because its network returned NaN or infinity.

    Args:
        variant: the variant.
        reason: why it failed, as a message.
    """
    return Variant(
        precision=variant.precision, engine=variant.engine, file=variant.file, passed=False, gate_reason=reason
    )


def bounds_used(parity: Parity, borders: Mapping[str, BorderProbabilities]) -> float:
    """Returns the largest share that a variant uses of the bounds on probabilities and labels; above 1 it fails.

    The bound on labels is the stricter one, that of an export without gate cases.

    Args:
        parity: closeness over all voxels.
        borders: label name → closeness near the organ's borders.
    """
    shares = [(1 - parity.label_agreement) / (1 - GATE_LABEL_AGREEMENT_ALONE)]
    for border in borders.values():
        shares += [border.difference / MAX_BORDER_DIFFERENCE, border.confidence_shift / MAX_CONFIDENCE_SHIFT]
    return max(shares)


def _judged(variant: Variant) -> Variant:
    if variant.parity is None:
        return variant
    reasons: list[str] = []
    if variant.precision != "fp32":
        reasons = [*_dice_reasons(variant), *_spurious_reasons(variant)]
        reasons += [*_probability_reasons(variant), *_agreement_reasons(variant)]
    return msgspec.structs.replace(variant, passed=not reasons, gate_reason="; ".join(reasons))


def _dice_reasons(variant: Variant) -> list[str]:
    reasons = [
        f"{organ}: Dice {variant.dice[organ]:.4f}, {drop.mean:.4f} below fp32 (at most {MAX_DICE_DROP})"
        for organ, drop in variant.organ_drops.items()
        if drop.mean > MAX_DICE_DROP
    ]
    if variant.dice_drop is not None and variant.dice_drop.mean > MAX_MEAN_DICE_DROP:
        mean = variant.dice_drop.mean
        reasons.append(f"mean of all organs: Dice {mean:.4f} below fp32 (at most {MAX_MEAN_DICE_DROP})")
    return reasons


def _spurious_reasons(variant: Variant) -> list[str]:
    return [
        f"{organ}: {found.excess_ml:.3g} ml more than fp32 in a case without it (at most {_spurious_limit(found):.3g})"
        for organ, found in variant.spurious.items()
        if found.excess_ml > _spurious_limit(found)
    ]


def _spurious_limit(found: SpuriousVolume) -> float:
    return max(MAX_SPURIOUS_ML, MAX_SPURIOUS_SHARE * found.organ_ml)


def _probability_reasons(variant: Variant) -> list[str]:
    reasons: list[str] = []
    for organ, border in variant.borders.items():
        difference, shift = border.difference, border.confidence_shift
        if difference > MAX_BORDER_DIFFERENCE:
            reasons.append(f"{organ}: mean |Δp| near the border {difference:.4f} (at most {MAX_BORDER_DIFFERENCE})")
        if shift > MAX_CONFIDENCE_SHIFT:
            reasons.append(f"{organ}: shift of confidence {shift:.4f} (at most {MAX_CONFIDENCE_SHIFT})")
    return reasons


def _agreement_reasons(variant: Variant) -> list[str]:
    least = GATE_LABEL_AGREEMENT if variant.dice else GATE_LABEL_AGREEMENT_ALONE
    least = GATE_FP16_AGREEMENT if variant.precision == "fp16" else least
    if variant.parity is None or variant.parity.label_agreement >= least:
        return []
    agreement = variant.parity.label_agreement
    return [f"only {100 * agreement:.2f} % of the voxels have the student's label (at least {100 * least:g} %)"]
