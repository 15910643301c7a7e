"""The process group of a training: ranks, sums over all processes, and work of the first process for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import ModelParallelStrategy
from numpy.typing import NDArray

from ...runtime.errors import BedsideError, ExitCode

T = TypeVar("T")


class AgreedOutcome(BedsideError):  # noqa: N818 - an outcome, not always a fault
    """An end of the training that all processes reach at the same step, so that only the first one reports it."""


class FirstProcessFailed(AgreedOutcome):
    """Raised on the other processes when work of the first process failed there.

    Args:
        message: message of the error on the first process.
        code: exit code of that error.
    """

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code


@dataclass(frozen=True)
class _Failure:
    """Broadcast by the first process in place of a result when its work failed."""

    message: str
    code: ExitCode


class ProcessGroup:
    """The processes of one training. With a single process, no method communicates.

    Attributes:
        rank: rank of this process, from 0.
        size: number of processes.
        first: whether this is the first process, which writes files and reports.
        sharded: whether the network's parameters are sharded over the processes, so that every forward pass needs all
            of them.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.rank = fabric.global_rank
        self.size = fabric.world_size
        self.first = fabric.is_global_zero
        self.sharded = isinstance(fabric.strategy, ModelParallelStrategy)

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self._fabric.device

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the element-wise sum over the processes of arrays of the same shape; NaN stays NaN."""
        if self.size == 1:
            return values
        summed = self._fabric.all_reduce(torch.from_numpy(values.copy()).to(self._fabric.device), reduce_op="sum")
        if not isinstance(summed, torch.Tensor):
            raise TypeError(f"expected a tensor from all_reduce, got {type(summed).__name__}")
        return summed.cpu().numpy()

    def broadcast_from_first(self, work: Callable[[], T]) -> T:
        """Runs a function on the first process only and returns its result on all of them; the others wait.

        Args:
            work: function without arguments; the other processes receive a pickled copy of its result.

        Raises:
            BedsideError: on the first process, the error that ``work`` raised; on the others `FirstProcessFailed`.
        """
        if self.size == 1:
            return work()
        if not self.first:
            received: Any = self._fabric.broadcast(None)
            if isinstance(received, _Failure):
                raise FirstProcessFailed(received.message, received.code)
            return received
        try:
            result = work()
        except BedsideError as error:
            self._fabric.broadcast(_Failure(str(error), error.exit_code))
            raise
        return self._fabric.broadcast(result)

    def first_then_others(self, work: Callable[[], T]) -> T:
        """Runs a function on the first process, then on the others; if it fails on the first, the others do not run it.

        Raises:
            BedsideError: on the first process, the error that ``work`` raised; on the others `FirstProcessFailed`.
        """
        done: list[T] = []
        self.broadcast_from_first(lambda: done.append(work()))
        return done[0] if done else work()

    def copy_from_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Gives tensors the values that they have on the first process; all processes call this with the same ones."""
        if self.size == 1:
            return
        own = list(tensors)
        values = self.broadcast_from_first(lambda: [tensor.detach().cpu() for tensor in own])
        with torch.no_grad():
            for tensor, value in zip(own, values, strict=True):
                tensor.copy_(value)

    def wait(self) -> None:
        """Waits until all processes have called this."""
        if self.size > 1:
            self._fabric.barrier()
