"""The gate: measures every variant on labelled scans and decides, organ by organ, which may replace fp32.

Scans go through the whole runtime, from the file to the label map. Each class is judged for itself, because a mean
hides a lost organ. Without gate cases only the agreement over all voxels counts, which can hide one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..runtime.bundles.manifest import Variant
from ..runtime.errors import InputError
from ..runtime.scans.nifti import read_volume
from ..runtime.segmenter import Segmenter
from ..training.data.organ_masks import OrganMasks, read_truth
from ..training.scores.metrics import dice_per_class

MAX_DICE_DROP = 0.01  # of any class on the gate cases, against fp32 with the same engine
GATE_LABEL_AGREEMENT = 0.99  # of voxels with the student's label, if there are gate cases
GATE_LABEL_AGREEMENT_ALONE = 0.995  # if there are none
GATE_FP16_AGREEMENT = 0.999  # of fp16, with and without them: it rounds, and nothing is calibrated

GateCase = tuple[Path, Path | OrganMasks]


def gate_dice(
    bundle: Path,
    variant: Variant,
    cases: Sequence[GateCase],
    *,
    threads: int | None = None,
    ignore: int | None = None,
    starting: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Segments the gate cases with one variant and computes the Dice of every organ.

    Args:
        bundle: a complete bundle directory.
        variant: the variant to run.
        cases: (image, label map on the same grid); without cases nothing is computed.
        threads: CPU threads; None for all.
        ignore: value of the label maps that marks voxels to leave out; None compares all voxels.
        starting: called before each case.

    Returns:
        Label name → mean Dice over the cases that have the organ, without the background and without organs that no
        case has.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
    """
    if not cases:
        return {}
    scores: list[np.ndarray] = []
    with Segmenter.load(bundle, variant.engine, variant.precision, threads, self_test=False) as segmenter:
        names = segmenter.task.labels
        for number, (image, label) in enumerate(cases, start=1):
            if starting is not None:
                starting()
            scan, truth = read_volume(image), read_truth(label)
            if not scan.grid.coincides(truth.grid):
                raise InputError(f"gate case {number}: image and label map lie on different grids")
            labels = segmenter.segment(scan).labels
            ignored = None if ignore is None else truth.data == ignore
            scores.append(dice_per_class(labels, truth.data, len(names), ignored))
    return {
        name: float(np.nanmean(column))
        for name, column in zip(names[1:], np.stack(scores).T[1:], strict=True)
        if not np.isnan(column).all()
    }


def judge(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Returns the variants with their verdict and, for those that failed, the reason.

    A variant passes if no class lost more than 0.01 Dice on the gate cases against fp32, and at least 99 % of the
    voxels have the student's label on the comparison's patches; without gate cases, if at least 99.5 % have; of fp16,
    99.9 %. fp32 passes: it would not have been exported otherwise. A variant that was not compared with the student
    gets no verdict.

    Args:
        variants: the measured variants, including fp32 of every engine.
    """
    references = {variant.engine: variant for variant in variants if variant.precision == "fp32"}
    return tuple(_judged(variant, references[variant.engine]) for variant in variants)


def _judged(variant: Variant, reference: Variant) -> Variant:
    if variant.parity is None:
        return variant
    reasons = [] if variant.precision == "fp32" else [*_dice_reasons(variant, reference), *_agreement_reasons(variant)]
    return msgspec.structs.replace(variant, passed=not reasons, gate_reason="; ".join(reasons))


def _dice_reasons(variant: Variant, reference: Variant) -> list[str]:
    drops = {organ: dice - variant.dice[organ] for organ, dice in reference.dice.items()}
    return [
        f"{organ}: Dice {variant.dice[organ]:.4f}, {drop:.4f} below fp32 (at most {MAX_DICE_DROP})"
        for organ, drop in drops.items()
        if drop > MAX_DICE_DROP
    ]


def _agreement_reasons(variant: Variant) -> list[str]:
    least = GATE_LABEL_AGREEMENT if variant.dice else GATE_LABEL_AGREEMENT_ALONE
    least = GATE_FP16_AGREEMENT if variant.precision == "fp16" else least
    if variant.parity is None or variant.parity.label_agreement >= least:
        return []
    agreement = variant.parity.label_agreement
    return [f"only {100 * agreement:.2f} % of the voxels have the student's label (at least {100 * least:g} %)"]
