"""Compares bfloat16 with float32, gradients and time, on the device that is to train in bfloat16."""

from __future__ import annotations

import ctypes
import logging
import math
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...runtime.errors import UsageError
from .process_group import AgreedOutcome, ProcessGroup

LEAST_COSINE = 0.9
"""Least cosine of the angle between the two gradients.

A step along a gradient with this cosine lowers the loss by nine tenths, to first order, of what a step of the same
length along the float32 gradient does. Rounding alone costs far less: unet-nano's first gradient had 0.99998.
"""
LARGEST_NORM_RATIO = 1.25
"""Largest ratio between the norms of the two gradients, whichever is larger. Noise at a right angle to the gradient
that leaves a cosine of 0.9 makes it 1.11 times as long; more is a wrong scale, not rounding."""

Loss = Callable[[], torch.Tensor]
Autocast = Callable[[], AbstractContextManager[object]]

_M_PERTURB = -6  # of <malloc.h>
_FILL = 0x80  # the C library writes the complement: the float32 of four bytes 0x7F is 3.4e38

_log = logging.getLogger("bedside.training")


class UnsoundPrecisionError(UsageError, AgreedOutcome):
    """A processor computes wrong gradients in bfloat16."""


@dataclass(frozen=True)
class PrecisionComparison:
    """The gradient of one batch in bfloat16, beside that in float32.

    Attributes:
        cosine: cosine of the angle between the two gradients; NaN if one is not finite.
        norm_ratio: norm of the bfloat16 gradient divided by that of the float32 gradient.
        time_ratio: seconds of forward and backward pass in bfloat16, divided by those in float32; NaN if the gradients
            differ by more than rounding, for nobody wants to know then.
    """

    cosine: float
    norm_ratio: float
    time_ratio: float

    @property
    def sound(self) -> bool:
        """Whether bfloat16 gives the gradient of float32, up to rounding."""
        return self.cosine >= LEAST_COSINE and 1 / LARGEST_NORM_RATIO <= self.norm_ratio <= LARGEST_NORM_RATIO

    def __str__(self) -> str:
        return f"gradient with {self.norm_ratio:.3g} times the norm of float32's, cosine {self.cosine:.4f}"


def check_precision(model: torch.nn.Module, loss: Loss, autocast: Autocast, group: ProcessGroup) -> None:
    """Compares one batch's gradients in both precisions on every process, and logs the outcome.

    Some processors have bfloat16 instructions and train faster with them; on others torch emulates them, many times
    slower. On either kind gradients of 1e32 have been seen: see `compare_precisions`.

    Args:
        model: the network, whose weights are whole.
        loss: computes the loss of the batch; called several times.
        autocast: context in which ``loss`` computes in bfloat16.
        group: process group; all its processes call this together.

    Raises:
        UnsoundPrecisionError: the gradients of a process differ by more than rounding.
    """
    worst = worst_of_all(compare_precisions(model, loss, autocast), group)
    if not worst.sound:
        raise UnsoundPrecisionError(
            f"precision bf16-mixed does not work on this processor: {worst}, expected a ratio of "
            f"{1 / LARGEST_NORM_RATIO:g}…{LARGEST_NORM_RATIO:g} and a cosine of {LEAST_COSINE:g} or more; "
            "start again with --precision 32-true and another -o"
        )
    if not group.first:
        return
    if worst.time_ratio > 1:
        _log.warning(
            "bf16-mixed is slower on this processor: a pass needs %.1f times the time of 32-true (%s); "
            "start again with --precision 32-true and another -o",
            worst.time_ratio,
            worst,
        )
    else:
        _log.info("bf16-mixed: a pass needs %.2f times the time of 32-true (%s)", worst.time_ratio, worst)


def worst_of_all(own: PrecisionComparison, group: ProcessGroup) -> PrecisionComparison:
    """Returns the comparison of a process without sound gradients, or else that of the one that gains least time.

    Args:
        own: comparison of this process.
        group: process group; all its processes call this together, and all get the same.
    """
    measured = np.zeros((group.size, 3))
    measured[group.rank] = own.cosine, own.norm_ratio, own.time_ratio
    rows = [PrecisionComparison(*map(float, row)) for row in group.total(measured)]
    return max(rows, key=lambda row: (not row.sound, row.time_ratio))


def compare_precisions(
    model: torch.nn.Module, loss: Loss, autocast: Autocast, *, rounds: int = 1
) -> PrecisionComparison:
    """Computes the gradient of a loss in both precisions, and times both in turn if they agree.

    The first pass in bfloat16 runs in `filled_memory`: oneDNN's weight gradient of convolutions over fewer voxels than
    their kernel holds what the memory held before, on processors with AVX-512 (seen with torch 2.14), unless
    `keep_small_in_float32` has been called. Zeros hide it: `unet-nano` had sound gradients in eight passes of eight.

    Weights, buffers and random state are left as they were.

    Args:
        model: as in `check_precision`.
        loss: as in `check_precision`.
        autocast: as in `check_precision`.
        rounds: passes to time in each precision; the fastest of each count.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    device = parameters[0].device
    on_gpu = device.type == "cuda"

    def gradients(context: AbstractContextManager[object]) -> list[torch.Tensor]:
        with torch.random.fork_rng([device] if on_gpu else []):
            with context:
                value = loss()
            # Not `backward`, which would average gradients over the processes and keep them for the optimiser.
            found = torch.autograd.grad(value, parameters, materialize_grads=True, allow_unused=True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        return [*found]

    def seconds(context: AbstractContextManager[object]) -> float:
        begun = time.perf_counter()
        gradients(context)
        if on_gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter() - begun

    full = gradients(nullcontext())
    with filled_memory():
        low = gradients(autocast())
    found = _compared(full, low)
    if not found.sound:
        return found
    times = [(seconds(nullcontext()), seconds(autocast())) for _ in range(rounds)]
    fastest_full, fastest_low = (min(each) for each in zip(*times, strict=True))
    return replace(found, time_ratio=fastest_low / fastest_full)


def _compared(full: list[torch.Tensor], low: list[torch.Tensor]) -> PrecisionComparison:
    full, low = ([each.double() for each in gradient] for gradient in (full, low))  # squares of 1e32 overflow float32
    full_norm, low_norm = _norm(full), _norm(low)
    product = sum(float((one * two).sum()) for one, two in zip(full, low, strict=True))
    norms = full_norm * low_norm
    # Both are zero where nothing can be learnt, such as a batch in which every voxel is ignored.
    cosine = product / norms if norms else float(full_norm == low_norm)
    return PrecisionComparison(cosine, low_norm / full_norm if full_norm else 1.0, math.nan)


def _norm(tensors: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(tensor.square().sum()) for tensor in tensors))


@contextmanager
def filled_memory() -> Generator[None]:
    """Fills memory that is allocated within the block with huge numbers, so that nobody can take it for zeros.

    It does so where the C library is glibc, as on most of Linux; elsewhere nothing changes.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is None:
        yield
        return
    set_option(_M_PERTURB, _FILL)
    try:
        yield
    finally:
        set_option(_M_PERTURB, 0)
