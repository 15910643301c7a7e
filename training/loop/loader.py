"""Loads crops in the order of the steps, with or without threads, and measures how long training waits for them."""

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

_AHEAD = 2  # batches loaded ahead, per thread


class CropOrder(Iterable[list[Key]]):
    """Iterates over the crops of one process, batch by batch, from a given step to the end of the training.

    A step uses ``recipe.crops_per_step`` consecutive crops, divided into batches. The batches are assigned to the
    processes round-robin, ``recipe.accumulate`` to each. So a step uses the same crops in the same batches, whether two
    processes compute one batch each or one process computes two.

    Args:
        recipe: batch size, accumulation, epochs.
        group: process group of this process.
        steps: optimiser steps per epoch.
        epoch: first epoch, counted from 0.
        step: first step of that epoch, counted from 0.
    """

    def __init__(self, recipe: Recipe, group: ProcessGroup, *, steps: int, epoch: int, step: int) -> None:
        self._recipe = recipe
        self._rank = group.rank
        self._processes = group.size
        self._steps = steps
        self._start = (epoch, step)

    def __iter__(self) -> Iterator[list[Key]]:
        batch, accumulate, processes = self._recipe.batch, self._recipe.accumulate, self._processes
        first_epoch, first_step = self._start
        for epoch in range(first_epoch, self._recipe.epochs):
            for step in range(first_step if epoch == first_epoch else 0, self._steps):
                for number in range(accumulate):
                    item = ((step * accumulate + number) * processes + self._rank) * batch
                    yield [(epoch, item + place) for place in range(batch)]


class CropLoader:
    """Context manager that moves one batch after the other to the device and measures the waiting time.

    One loader serves the whole training: its threads continue loading during validation. Threads, not processes:
    numpy releases the interpreter lock while it copies a crop; no data pass through /dev/shm, which is small in
    containers; and no loader process can die or outlive the training.

    Args:
        sources: training cases.
        task: patch and orientation.
        recipe: balance, augmentation and seed of the crops.
        order: keys of the crops, one list per batch.
        fabric: moves batches to the device.
        workers: threads that load crops; 0 loads each batch in `next_batch`.
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
            InputError: a prepared case is missing or damaged.
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
        """Restarts the measurement of `waiting`."""
        self._waited, self._since = 0.0, time.perf_counter()

    @property
    def waiting(self) -> float:
        """Share of the time since `start_clock` spent in `next_batch`, 0…1."""
        passed = time.perf_counter() - self._since
        return self._waited / passed if passed > 0 else 0.0


class _Threads:
    """The threads that load batches.

    Attributes:
        depth: maximum number of batches requested ahead.
    """

    def __init__(self, crops: CropDataset, device: torch.device, number: int) -> None:
        self.depth = _AHEAD * number
        self._crops = crops
        self._device = device
        self._number = number
        self._own = threading.local()
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Starts all threads."""
        compute_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._number, "bedside-crops")
        all_threads = threading.Barrier(self._number)
        try:
            for setup in [self._pool.submit(self._set_up, all_threads) for _ in range(self._number)]:
                setup.result()
        except BaseException:
            all_threads.abort()  # releases started threads that wait for a failed one
            raise
        torch.set_num_threads(compute_threads)  # for threads that torch starts from here on, such as autograd's

    def _set_up(self, all_threads: threading.Barrier) -> None:
        all_threads.wait()  # occupies each thread, so that every one is set up once
        torch.set_num_threads(1)  # else each would start one torch thread per core
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)  # else pinning memory opens the first GPU as well
        self._own.crops = self._crops.for_another_thread()

    def load(self, keys: Sequence[Key]) -> Future[Batch]:
        """Schedules the loading of a batch."""
        if self._pool is None:
            raise RuntimeError("a CropLoader is used within its `with` block")
        return self._pool.submit(self._load, keys)

    def _load(self, keys: Sequence[Key]) -> Batch:
        batch = _batch(self._own.crops, keys)
        if self._device.type == "cuda":  # pinned memory is copied while the GPU computes
            return {name: tensor.pin_memory() for name, tensor in batch.items()}
        return batch

    def end(self) -> None:
        """Ends all threads after the batch that each is loading; cancels the others."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _batch(crops: CropDataset, keys: Sequence[Key]) -> Batch:
    """Returns crops stacked to one batch, ``[B, …]`` per key."""
    loaded = [crops[key] for key in keys]
    return {name: torch.stack([crop[name] for crop in loaded]) for name in loaded[0]}
