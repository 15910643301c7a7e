"""The self-test: before first use on a machine, the engine repeats a result that travels in the bundle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .engines import Engine
from .errors import BundleError
from .manifest import Variant

LABEL_AGREEMENT = 0.99  # of voxels, for a variant without a measured agreement of its own
LARGEST_DIFFERENCE = 0.01  # of the logits' range, fp32: engines sum in another order, they do not compute another thing
INT8_SLACK = 0.02  # int8 kernels differ between CPUs; this much below the agreement measured at export is accepted


def check_golden(bundle: Bundle, engine: Engine, variant: Variant) -> None:
    """Runs the bundle's golden patch and compares with the torch student's logits.

    fp32 must keep 99 % of the labels and every logit within 1 % of the logits' range; int8 must keep the label
    agreement measured at export on this very patch, less two points. A bundle without a golden patch is only run once.

    Raises:
        BundleError: the engine's result on this machine is another one.
    """
    golden = bundle.manifest.golden
    if golden is None:
        warm_up(engine)
        return
    patch, expected = bundle.array(golden.input), bundle.array(golden.output)
    if patch.shape != (1, 1, *engine.patch_dhw) or expected.shape != (1, engine.num_classes, *engine.patch_dhw):
        raise BundleError(f"golden patch: shapes {patch.shape} → {expected.shape} are not the model's")
    logits = engine.infer(patch)
    where = f"self-test with {engine.name} {engine.precision} failed on this machine"
    if not np.isfinite(logits).all():
        raise BundleError(f"{where}: the output holds NaN or infinity; try another engine")
    agreement = float((logits.argmax(1) == expected.argmax(1)).mean())
    if agreement < _least_agreement(variant):
        raise BundleError(
            f"{where}: {agreement:.4f} of the labels agree, expected at least {_least_agreement(variant):.4f}; "
            "try another engine or export again"
        )
    difference = _relative_difference(logits, expected)
    if variant.precision == "fp32" and difference > LARGEST_DIFFERENCE:
        raise BundleError(
            f"{where}: logits differ by {difference:.4f} of their range, expected at most {LARGEST_DIFFERENCE}; "
            "try another engine or export again"
        )


def warm_up(engine: Engine) -> None:
    """Runs one empty window, so that the engine takes its workspace now and not under the first scan."""
    engine.infer(np.zeros((1, 1, *engine.patch_dhw), np.float32))


def _least_agreement(variant: Variant) -> float:
    measured = variant.golden_agreement
    if measured is None and variant.parity is not None:
        measured = variant.parity.label_agreement
    if variant.precision == "fp32" or measured is None:
        return LABEL_AGREEMENT
    return min(LABEL_AGREEMENT, measured - INT8_SLACK)


def _relative_difference(logits: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    span = float(np.ptp(expected))
    return float(np.abs(logits - expected).max()) / max(span, np.finfo(np.float32).tiny)
