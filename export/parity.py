"""Measures how close each variant of a bundle is to the torch student, on patches of real scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..runtime.axes import DHW
from ..runtime.bundles.figures import Parity
from ..runtime.engine_selection.self_test import FP32_LABEL_AGREEMENT
from ..runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    import torch

Logits = NDArray[np.float32]
Probabilities = NDArray[np.float32]

FP32_LARGEST_DIFFERENCE = 0.0005  # of a probability: what logits that differ by 0.001 can cause at most
_REFERENCE_BYTES = 512 * 2**20


def affordable_patches(patch_dhw: DHW, num_classes: int, wanted: int) -> int:
    """Returns how many patches' reference probabilities fit into 512 MiB; at least one, at most ``wanted``."""
    size = int(np.prod(patch_dhw)) * num_classes * np.dtype(np.float32).itemsize
    return max(1, min(wanted, _REFERENCE_BYTES // size))


def student_logits(model: torch.nn.Module, patch: NDArray[np.float32]) -> Logits:
    """Runs the torch student on the CPU.

    Args:
        model: network in evaluation mode, on the CPU.
        patch: [1, 1, D, H, W] float32.

    Returns:
        Logits [1, C, D, H, W] float32.

    Raises:
        UsageError: the logits are not finite.
    """
    import torch

    with torch.inference_mode():
        logits = model(torch.from_numpy(patch)).float().numpy()
    if not np.isfinite(logits).all():
        raise UsageError("the student's output holds NaN or infinity; train it again before exporting")
    return logits


class NotFiniteError(BundleError):
    """The output of a variant holds NaN or infinity."""


class Inference(Protocol):
    """What is compared with the student: an engine, or another form of the network."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def precision(self) -> str:
        """Its precision."""
        ...

    def infer(self, patches: NDArray[np.float32]) -> Logits:
        """Returns logits [N, C, D, H, W] of patches [N, 1, D, H, W]."""
        ...


def variant_logits(variant: Inference, patch: NDArray[np.float32]) -> Logits:
    """Runs a variant on a patch [1, 1, D, H, W] and returns its logits [C, D, H, W].

    Raises:
        NotFiniteError: the variant returns NaN or infinity.
    """
    logits = variant.infer(patch)
    if not np.isfinite(logits).all():
        raise NotFiniteError(f"the output of {variant.name} {variant.precision} holds NaN or infinity")
    return logits[0]


class ParityComparison:
    """Compares one variant's probabilities with the student's, patch by patch."""

    def __init__(self) -> None:
        self._largest: list[float] = []
        self._means: list[float] = []
        self._agreements: list[float] = []

    def add(self, variant: Probabilities, student: Probabilities) -> None:
        """Adds a patch: the probabilities of both, [C, D, H, W]."""
        difference = np.abs(variant - student)
        self._largest.append(float(difference.max()))
        self._means.append(float(difference.mean(dtype=np.float64)))
        self._agreements.append(float((variant.argmax(0) == student.argmax(0)).mean()))

    def figures(self) -> Parity:
        """Returns the figures over all patches, at least one."""
        return Parity(
            max_abs_probability=max(self._largest),
            mean_abs_probability=float(np.mean(self._means)),
            label_agreement=float(np.mean(self._agreements)),
            patches=len(self._agreements),
        )


def check_fp32(engine: str, parity: Parity) -> None:
    """Checks that an fp32 variant computes what the student computes.

    Raises:
        BundleError: fewer than 99.99 % of the labels agree, or a probability differs by more than 0.0005.
    """
    if parity.label_agreement >= FP32_LABEL_AGREEMENT and parity.max_abs_probability <= FP32_LARGEST_DIFFERENCE:
        return
    raise BundleError(
        f"{engine} fp32 is not the student: {parity.label_agreement:.5f} of the labels agree (expected at least "
        f"{FP32_LABEL_AGREEMENT}) and a probability differs by {parity.max_abs_probability:.5f} (at most "
        f"{FP32_LARGEST_DIFFERENCE}); not exported"
    )


def check_fp32_labels(engine: str, agreement: float) -> None:
    """Checks that an fp32 variant gives the golden patch the student's labels, as the self-test on devices asks of it.

    Args:
        engine: name of the engine that ran it.
        agreement: fraction of the golden patch's voxels with the student's label.

    Raises:
        BundleError: it is less than 99.99 %.
    """
    if agreement < FP32_LABEL_AGREEMENT:
        raise BundleError(
            f"{engine} fp32 is not the student: {agreement:.5f} of the golden patch's labels agree (expected at "
            f"least {FP32_LABEL_AGREEMENT}); not exported"
        )
