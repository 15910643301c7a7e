"""The processes that train together: who is first, what all agree on, what the first does for the others."""

from __future__ import annotations

from collections.abc import Callable
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
    """How a training ends on all of its processes at the same step: the first one's words are enough."""


class FirstProcessFailed(AgreedOutcome):
    """What the first process did for all of them failed there.

    Args:
        message: what it said.
        code: its exit code.
    """

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code


@dataclass(frozen=True)
class _Failure:
    """What the first process tells the others in place of a result."""

    message: str
    code: ExitCode


class ProcessGroup:
    """The processes of one training; alone, every method is free.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        first: whether this is the one that writes and talks.
        sharded: whether the network's parameters are spread over the processes, so that all of them have to take part
            in every forward pass.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.rank = fabric.global_rank
        self.size = fabric.world_size
        self.first = fabric.is_global_zero
        self.sharded = self.size > 1 and isinstance(fabric.strategy, ModelParallelStrategy)

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the sum of the processes' arrays, which have the same shape everywhere; NaN stays NaN."""
        if self.size == 1:
            return values
        summed = self._fabric.all_reduce(torch.from_numpy(values.copy()).to(self._fabric.device), reduce_op="sum")
        if not isinstance(summed, torch.Tensor):
            raise TypeError(f"expected a tensor from all_reduce, got {type(summed).__name__}")
        return summed.cpu().numpy()

    def broadcast_from_first(self, work: Callable[[], T]) -> T:
        """Does work on the first process alone and returns its result on all of them; the others wait.

        Args:
            work: its result travels as a copy.

        Raises:
            BedsideError: on the first process, what the work raised; on the others `FirstProcessFailed`.
        """
        if self.size == 1:
            return work()
        if not self.first:
            told: Any = self._fabric.broadcast(None)
            if isinstance(told, _Failure):
                raise FirstProcessFailed(told.message, told.code)
            return told
        try:
            result = work()
        except BedsideError as error:
            self._fabric.broadcast(_Failure(str(error), error.exit_code))
            raise
        return self._fabric.broadcast(result)

    def first_then_others(self, work: Callable[[], T]) -> T:
        """Does the same work on all processes, on the first one before the others: where it fails, it fails once.

        Raises:
            BedsideError: on the first process, what the work raised; on the others `FirstProcessFailed`.
        """
        done: list[T] = []
        self.broadcast_from_first(lambda: done.append(work()))
        return done[0] if done else work()

    def wait(self) -> None:
        """Returns when all processes are here."""
        if self.size > 1:
            self._fabric.barrier()
