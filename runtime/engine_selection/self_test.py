"""The self-test: before first use on a machine, the engine must reproduce the golden patch's result in the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundles.bundle import Bundle
from ..bundles.golden_files import Golden
from ..bundles.variant import Variant
from ..engines import Engine
from ..errors import BundleError
from ..labels.best_class import best_class, label_dtype
from ..labels.probabilities import LEVELS, softmax, to_levels
from ..task import Task
from ..thread_pool import thread_pool

FP32_LABEL_AGREEMENT = 0.9999  # fraction of voxels with the student's label: engines differ where two logits are equal
SELF_TEST_LABEL_AGREEMENT = (
    0.99  # the same for other precisions at most, and for fp32 in bundles up to schema version 3
)
LARGEST_DIFFERENCE = 0.02  # of a probability, for fp32: the order of summation differs, and some GPUs round to TF32
SLACK = 0.02  # accepted loss below the agreement at export: int8 and bf16 kernels differ between CPUs


@dataclass(frozen=True)
class GoldenTest:
    """A window, and the torch student's probabilities and labels for it.

    Attributes:
        patch: [1, 1, D, H, W] float32, normalised.
        probabilities: [C, D, H, W] uint8, 255 for 1; None where the bundle has none.
        labels: [D, H, W] uint8 or uint16; None where the bundle has none, as in schema version 3, whose rounded
            probabilities stand in for them.
        fp32_agreement: fraction of the voxels to which fp32 must give the student's label.
    """

    patch: NDArray[np.float32]
    probabilities: NDArray[np.uint8] | None = None
    labels: NDArray[np.unsignedinteger] | None = None
    fp32_agreement: float = SELF_TEST_LABEL_AGREEMENT

    @staticmethod
    def of(bundle: Bundle) -> GoldenTest:
        """Reads a bundle's golden patch; without one, uses a window of zeros that is run but not compared.

        Raises:
            BundleError: the files are not plain arrays, or do not have the task's shapes.
        """
        golden, task = bundle.manifest.golden, bundle.task
        if golden is None:
            return GoldenTest(np.zeros((1, 1, *task.patch.dhw), np.float32))
        return GoldenTest.read(bundle, golden, task)

    @staticmethod
    def read(bundle: Bundle, golden: Golden, task: Task) -> GoldenTest:
        """Reads a golden patch, and the student's probabilities and labels for it.

        Bundles up to schema version 2 hold logits, from which both follow. Their export did not ask fp32 for 99.99 % of
        this patch's labels, nor did that of version 3, so 99 % suffice there.

        Args:
            bundle: the bundle that holds them.
            golden: paths in the bundle.
            task: the task of the network.

        Raises:
            BundleError: the files are not plain arrays, or do not have the task's shapes.
        """
        given, expected = bundle.array(golden.input), bundle.array(golden.output)
        shape = (task.num_classes, *task.patch.dhw)
        holds_logits = expected.dtype == np.float32
        if given.shape != (1, 1, *task.patch.dhw) or expected.shape != ((1, *shape) if holds_logits else shape):
            raise BundleError(f"golden patch: shapes {given.shape} → {expected.shape} are not the model's")
        patch = given.astype(np.float32)
        if holds_logits:
            return GoldenTest(patch, to_levels(softmax(expected[0])), best_class(expected[0]))
        if golden.labels is None:
            return GoldenTest(patch, expected)
        return GoldenTest(patch, expected, _read_labels(bundle, golden.labels, task), FP32_LABEL_AGREEMENT)

    def run(self, engine: Engine) -> list[NDArray[np.float32]]:
        """Runs the window once in every stream, all at the same time, so that each allocates its workspace.

        Returns:
            Logits [1, C, D, H, W] of each stream.

        Raises:
            ResourceError: the engine ran out of memory or failed.
        """
        with thread_pool(engine.parallel, "bedside-self-test") as pool:
            return list(pool.map(engine.infer, [self.patch] * engine.parallel))

    def check(self, logits: NDArray[np.float32], engine: Engine, variant: Variant) -> None:
        """Compares an engine's result with the student's.

        fp32 must keep 99.99 % of the labels (99 % in bundles up to schema version 3) and every probability within 0.02.
        Other precisions must keep the label agreement measured at export on the same patch, less two percentage points.

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
        labels, least = best_class(logits[0]), self._least_agreement(variant)
        if self.labels is None:
            agreement = _agreement_with_levels(labels, self.probabilities)
        else:
            agreement = float((labels == self.labels).mean())
        if agreement < least:
            raise BundleError(
                f"{where}: {agreement:.5f} of the labels agree, expected at least {least:.4f}; "
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

    def _least_agreement(self, variant: Variant) -> float:
        """Returns the fraction of the voxels to which a variant must give the student's label."""
        if variant.precision == "fp32":
            return self.fp32_agreement
        measured = variant.golden_agreement
        if measured is None and variant.parity is not None:
            measured = variant.parity.label_agreement
        return SELF_TEST_LABEL_AGREEMENT if measured is None else min(SELF_TEST_LABEL_AGREEMENT, measured - SLACK)


def warm_up(engine: Engine) -> None:
    """Runs one window of zeros per stream, so that the engine allocates its workspace before the first scan."""
    GoldenTest(np.zeros((1, 1, *engine.patch_dhw), np.float32)).run(engine)


def _read_labels(bundle: Bundle, name: str, task: Task) -> NDArray[np.unsignedinteger]:
    """Reads the student's labels for the golden patch.

    Raises:
        BundleError: the file is no plain array, or has another shape or type than the task's labels.
    """
    labels, expected = bundle.array(name), np.dtype(label_dtype(task.num_classes))
    if labels.shape != task.patch.dhw or labels.dtype != expected:
        raise BundleError(
            f"{name}: expected {expected} labels of shape {task.patch.dhw}, got {labels.dtype} of {labels.shape}; "
            "export the bundle again"
        )
    return labels


def _agreement_with_levels(labels: NDArray[np.integer], expected: NDArray[np.uint8]) -> float:
    """Returns the fraction of voxels whose label has the highest level, or one less: levels are rounded."""
    chosen = np.take_along_axis(expected, labels[None], axis=0)[0]
    return float((chosen.astype(np.int16) + 1 >= expected.max(0)).mean())


def _differences(probabilities: NDArray[np.float32], expected: NDArray[np.uint8]) -> Iterator[float]:
    """Yields each class's largest difference."""
    for computed, levels in zip(probabilities, expected, strict=True):  # one class at a time fits the CPU's cache
        yield float(np.abs(computed - levels.astype(np.float32) / LEVELS).max())
