"""The self-test: before first use on a machine, the engine must reproduce the golden patch's result in the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundles.bundle import Bundle
from ..bundles.variant import Variant
from ..engines import Engine
from ..errors import BundleError
from ..task import Task

SELF_TEST_LABEL_AGREEMENT = 0.99  # fraction of voxels, for a variant without a measured agreement
LARGEST_DIFFERENCE = 0.01  # of the logits' range, for fp32: engines differ only in the order of summation
SLACK = 0.02  # accepted loss below the agreement at export: int8 and bf16 kernels differ between CPUs


@dataclass(frozen=True)
class GoldenTest:
    """A window and the torch student's logits for it.

    Attributes:
        patch: [1, 1, D, H, W] float32, normalised.
        logits: [1, C, D, H, W] float32; None where the bundle has none.
        labels: [1, D, H, W], the argmax of the logits; None without logits.
    """

    patch: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    labels: NDArray[np.integer] | None = None

    @staticmethod
    def of(bundle: Bundle) -> GoldenTest:
        """Reads a bundle's golden patch; without one, uses a window of zeros that is run but not compared.

        Raises:
            BundleError: the files are not plain arrays, or do not have the task's shapes.
        """
        golden, task = bundle.manifest.golden, bundle.task
        if golden is None:
            return GoldenTest(np.zeros((1, 1, *task.patch.dhw), np.float32))
        return GoldenTest.read(bundle, golden.input, golden.output, task)

    @staticmethod
    def read(bundle: Bundle, patch: str, logits: str, task: Task) -> GoldenTest:
        """Reads a golden patch and the logits for it.

        Args:
            bundle: the bundle that holds them.
            patch: path in the bundle of the patch.
            logits: path in the bundle of the logits.
            task: the task of the network.

        Raises:
            BundleError: the files are not plain arrays, or do not have the task's shapes.
        """
        given, expected = bundle.array(patch), bundle.array(logits)
        if given.shape != (1, 1, *task.patch.dhw) or expected.shape != (1, task.num_classes, *task.patch.dhw):
            raise BundleError(f"golden patch: shapes {given.shape} → {expected.shape} are not the model's")
        return GoldenTest(given, expected, expected.argmax(1))

    def run(self, engine: Engine) -> list[NDArray[np.float32]]:
        """Runs the window once in every stream, all at the same time, so that each allocates its workspace.

        Returns:
            Logits [1, C, D, H, W] of each stream.

        Raises:
            ResourceError: the engine ran out of memory or failed.
        """
        with ThreadPoolExecutor(engine.parallel, "bedside-self-test") as pool:
            return list(pool.map(engine.infer, [self.patch] * engine.parallel))

    def check(self, logits: NDArray[np.float32], engine: Engine, variant: Variant) -> None:
        """Compares an engine's logits with the student's.

        fp32 must keep 99 % of the labels and every logit within 1 % of the logits' range. Other precisions must keep
        the label agreement measured at export on the same patch, less two percentage points.

        Args:
            logits: [1, C, D, H, W] float32, the engine's result.
            engine: the engine that computed them.
            variant: the bundle's variant that the engine runs, with the agreement measured at export.

        Raises:
            BundleError: the engine's result differs too much on this machine.
        """
        if self.logits is None or self.labels is None:
            return
        where = f"self-test with {engine.name} {engine.precision} failed on this machine"
        if not np.isfinite(logits).all():
            raise BundleError(f"{where}: the output holds NaN or infinity; try another engine")
        agreement = float((logits.argmax(1) == self.labels).mean())
        if agreement < _least_agreement(variant):
            raise BundleError(
                f"{where}: {agreement:.4f} of the labels agree, expected at least {_least_agreement(variant):.4f}; "
                "try another engine or export again"
            )
        difference = max(_differences(logits, self.logits))
        if variant.precision == "fp32" and difference > LARGEST_DIFFERENCE:
            raise BundleError(
                f"{where}: logits differ by {difference:.4f} of their range, expected at most {LARGEST_DIFFERENCE}; "
                "try another engine or export again"
            )


def warm_up(engine: Engine) -> None:
    """Runs one window of zeros per stream, so that the engine allocates its workspace before the first scan."""
    GoldenTest(np.zeros((1, 1, *engine.patch_dhw), np.float32)).run(engine)


def _least_agreement(variant: Variant) -> float:
    measured = variant.golden_agreement
    if measured is None and variant.parity is not None:
        measured = variant.parity.label_agreement
    if variant.precision == "fp32" or measured is None:
        return SELF_TEST_LABEL_AGREEMENT
    return min(SELF_TEST_LABEL_AGREEMENT, measured - SLACK)


def _differences(logits: NDArray[np.float32], expected: NDArray[np.float32]) -> Iterator[float]:
    """Yields each class's largest difference, as a fraction of the range of all logits."""
    span = max(float(np.ptp(expected)), float(np.finfo(np.float32).tiny))
    for computed, wanted in zip(logits[0], expected[0], strict=True):  # one class at a time fits the CPU's cache
        yield float(np.abs(computed - wanted).max()) / span
