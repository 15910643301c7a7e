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
from ..labels.probabilities import LEVELS, softmax, to_levels
from ..task import Task

SELF_TEST_LABEL_AGREEMENT = 0.99  # fraction of voxels, for a variant without a measured agreement
LARGEST_DIFFERENCE = 0.02  # of a probability, for fp32: the order of summation differs, and some GPUs round to TF32
SLACK = 0.02  # accepted loss below the agreement at export: int8 and bf16 kernels differ between CPUs


@dataclass(frozen=True)
class GoldenTest:
    """A window and the torch student's probabilities for it.

    Attributes:
        patch: [1, 1, D, H, W] float32, normalised.
        probabilities: [C, D, H, W] uint8, 255 for 1; None where the bundle has none.
    """

    patch: NDArray[np.float32]
    probabilities: NDArray[np.uint8] | None = None

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
    def read(bundle: Bundle, patch: str, probabilities: str, task: Task) -> GoldenTest:
        """Reads a golden patch and the student's probabilities for it.

        Args:
            bundle: the bundle that holds them.
            patch: path in the bundle of the patch.
            probabilities: path in the bundle of the probabilities, or of the logits up to schema version 2.
            task: the task of the network.

        Raises:
            BundleError: the files are not plain arrays, or do not have the task's shapes.
        """
        given, expected = bundle.array(patch), bundle.array(probabilities)
        shape = (task.num_classes, *task.patch.dhw)
        holds_logits = expected.dtype == np.float32
        if given.shape != (1, 1, *task.patch.dhw) or expected.shape != ((1, *shape) if holds_logits else shape):
            raise BundleError(f"golden patch: shapes {given.shape} → {expected.shape} are not the model's")
        if holds_logits:
            expected = to_levels(softmax(expected[0]))
        return GoldenTest(given.astype(np.float32), expected)

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
        """Compares an engine's result with the student's.

        fp32 must keep 99 % of the labels and every probability within 0.02. Other precisions must keep the label
        agreement measured at export on the same patch, less two percentage points.

        Args:
            logits: [1, C, D, H, W] float32, the engine's result.
            engine: the engine that computed them.
            variant: the bundle's variant that the engine runs, with the agreement measured at export.

        Raises:
            BundleError: the engine's result differs too much on this machine.
        """
        if self.probabilities is None:
            return
        where = f"self-test with {engine.name} {engine.precision} failed on this machine"
        if not np.isfinite(logits).all():
            raise BundleError(f"{where}: the output holds NaN or infinity; try another engine")
        agreement = _agreement(logits[0].argmax(0), self.probabilities)
        if agreement < _least_agreement(variant):
            raise BundleError(
                f"{where}: {agreement:.4f} of the labels agree, expected at least {_least_agreement(variant):.4f}; "
                "try another engine or export again"
            )
        if variant.precision != "fp32":
            return
        difference = max(_differences(softmax(logits[0]), self.probabilities))
        if difference > LARGEST_DIFFERENCE:
            raise BundleError(
                f"{where}: a probability differs by {difference:.4f}, expected at most {LARGEST_DIFFERENCE}; "
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


def _agreement(labels: NDArray[np.integer], expected: NDArray[np.uint8]) -> float:
    """Returns the fraction of voxels whose label has the highest level, or one less: levels are rounded."""
    chosen = np.take_along_axis(expected, labels[None], axis=0)[0]
    return float((chosen.astype(np.int16) + 1 >= expected.max(0)).mean())


def _differences(probabilities: NDArray[np.float32], expected: NDArray[np.uint8]) -> Iterator[float]:
    """Yields each class's largest difference."""
    for computed, levels in zip(probabilities, expected, strict=True):  # one class at a time fits the CPU's cache
        yield float(np.abs(computed - levels.astype(np.float32) / LEVELS).max())
