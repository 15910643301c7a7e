"""Crops in the order of the steps, whatever loads them, and how long training waits for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import torch
from lightning_fabric import Fabric

from ...runtime.task import Task
from ..data.crops import Batch, CropDataset, CropSource, Key
from ..recipe import Recipe
from .process_group import ProcessGroup

_AHEAD = 2  # batches for each thread


class CropOrder(Iterable[list[Key]]):
    """The crops of one process, batch by batch, from a step of an epoch to the end of the training.

    A step takes ``recipe.crops_per_step`` crops in a row, cut into batches; the batches are dealt to the processes in
    turn, each of which takes ``recipe.accumulate`` of them. So the same crops meet in the same step, batched alike,
    whether two processes take one batch each or one process takes two.

    Args:
        recipe: batch, accumulation, epochs.
        team: whose process this is.
        steps: per epoch.
        epoch: the first one.
        step: the first one of that epoch.
    """

    def __init__(self, recipe: Recipe, team: ProcessGroup, *, steps: int, epoch: int, step: int) -> None:
        self._recipe = recipe
        self._rank = team.rank
        self._processes = team.size
        self._steps = steps
        self._start = (epoch, step)

    def __iter__(self) -> Iterator[list[Key]]:
        batch, accumulate, processes = self._recipe.batch, self._recipe.accumulate, self._processes
        first_epoch, first_step = self._start
        for epoch in range(first_epoch, self._recipe.epochs):
            for step in range(first_step if epoch == first_epoch else 0, self._steps):
                for turn in range(accumulate):
                    item = ((step * accumulate + turn) * processes + self._rank) * batch
                    yield [(epoch, item + place) for place in range(batch)]


class CropLoader:
    """Context manager that brings one batch after the other to the device, and takes the time.

    One loader serves the whole training: its threads go on loading while the network is validated. Threads, not
    processes: cutting and turning a crop is numpy's copying, which lets other threads run; nothing travels through
    /dev/shm, which containers keep small; and there is no process that could die, or outlive the training.

    Args:
        sources: the cases.
        task: patch.
        recipe: how crops are drawn.
        order: which crops, in which order.
        fabric: brings batches to the device.
        workers: threads that load; 0: crops are made when they are asked for.
    """

    def __init__(
        self,
        sources: Sequence[CropSource],
        task: Task,
        recipe: Recipe,
        order: Iterable[list[Key]],
        *,
        fabric: Fabric,
        workers: int,
    ) -> None:
        self._crops = CropDataset(sources, task, recipe)
        self._order = iter(order)
        self._fabric = fabric
        self._threads = _Threads(self._crops, fabric.device, workers) if workers else None
        self._ahead: deque[Future[Batch]] = deque()
        self._waited = 0.0
        self._since = time.perf_counter()

    def __enter__(self) -> CropLoader:
        if self._threads:
            self._threads.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.clear()
        if self._threads:
            self._threads.end()

    def next_batch(self) -> Batch:
        """Returns the next batch, on the device.

        Raises:
            InputError: a prepared case is gone or damaged.
        """
        start = time.perf_counter()
        batch = self._fabric.to_device(self._loaded())
        self._waited += time.perf_counter() - start
        return batch

    def _loaded(self) -> Batch:
        if self._threads is None:
            return _batch(self._crops, next(self._order))
        missing = self._threads.depth - len(self._ahead)
        self._ahead.extend(self._threads.load(keys) for keys in islice(self._order, missing))
        return self._ahead.popleft().result()

    def start_clock(self) -> None:
        """Begins a new measurement of `waiting`."""
        self._waited, self._since = 0.0, time.perf_counter()

    @property
    def waiting(self) -> float:
        """Share of the time since `start_clock` that was spent in `next_batch`, 0…1."""
        passed = time.perf_counter() - self._since
        return self._waited / passed if passed > 0 else 0.0


class _Threads:
    """The threads that load batches.

    Attributes:
        depth: how many batches may be on order.
    """

    def __init__(self, crops: CropDataset, device: torch.device, number: int) -> None:
        self.depth = _AHEAD * number
        self._crops = crops
        self._device = device
        self._number = number
        self._own = threading.local()
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Starts all threads at once."""
        compute_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._number, "bedside-crops")
        everybody = threading.Barrier(self._number)
        try:
            for begun in [self._pool.submit(self._begin, everybody) for _ in range(self._number)]:
                begun.result()
        except BaseException:
            everybody.abort()  # those that have started wait for one that never will
            raise
        torch.set_num_threads(compute_threads)  # for threads that torch starts from here on, such as autograd's

    def _begin(self, everybody: threading.Barrier) -> None:
        everybody.wait()  # so that each thread is here once
        torch.set_num_threads(1)  # else each would start a helper for every core
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)  # pinning memory would open the first GPU besides
        self._own.crops = self._crops.for_another_thread()

    def load(self, keys: Sequence[Key]) -> Future[Batch]:
        """Orders a batch."""
        if self._pool is None:
            raise RuntimeError("a CropLoader is used within its `with` block")
        return self._pool.submit(self._load, keys)

    def _load(self, keys: Sequence[Key]) -> Batch:
        batch = _batch(self._own.crops, keys)
        if self._device.type == "cuda":  # from pinned memory it is copied while the GPU computes
            return {name: tensor.pin_memory() for name, tensor in batch.items()}
        return batch

    def end(self) -> None:
        """Ends all threads; what they have in work is finished first, a crop each."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _batch(crops: CropDataset, keys: Sequence[Key]) -> Batch:
    """Returns crops as one batch, ``[B, …]``."""
    loaded = [crops[key] for key in keys]
    return {name: torch.stack([crop[name] for crop in loaded]) for name in loaded[0]}
