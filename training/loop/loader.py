"""Crops in the order of the steps, whatever the number of processes, and how long training waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Sampler

from ...runtime.task import Task
from ..data.crops import Batch, CropDataset, CropSource, Key
from ..recipe import Recipe
from .interrupt import leave_signals_to_the_parent
from .processes import Team


class CropOrder(Sampler[list[Key]]):
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

    def __init__(self, recipe: Recipe, team: Team, *, steps: int, epoch: int, step: int) -> None:
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

    One loader serves the whole training: its processes go on loading while the network is validated.

    Args:
        sources: the cases.
        task: patch.
        recipe: how crops are drawn.
        order: which crops, in which order.
        fabric: brings batches to the device.
        workers: processes that load.
    """

    def __init__(
        self,
        sources: Sequence[CropSource],
        task: Task,
        recipe: Recipe,
        order: CropOrder,
        *,
        fabric: Fabric,
        workers: int,
    ) -> None:
        # A generator of its own: drawing worker seeds must not move the random state that checkpoints keep.
        loader = DataLoader(
            CropDataset(sources, task, recipe), batch_sampler=order, num_workers=workers,
            worker_init_fn=leave_signals_to_the_parent, generator=torch.Generator().manual_seed(recipe.seed),
            pin_memory=workers > 0 and fabric.device.type == "cuda",
        )  # fmt: skip
        self._loader = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        self._batches: Iterator[Batch] | None = None
        self._waited = 0.0
        self._since = time.perf_counter()

    def __enter__(self) -> CropLoader:
        self._batches = iter(cast("DataLoader[Batch]", self._loader))
        return self

    def __exit__(self, *_: object) -> None:
        self._batches = None  # ends the loading processes

    def next_batch(self) -> Batch:
        """Returns the next batch, on the device."""
        if self._batches is None:
            raise RuntimeError("a CropLoader is used within its `with` block")
        start = time.perf_counter()
        batch = next(self._batches)
        self._waited += time.perf_counter() - start
        return batch

    def start_clock(self) -> None:
        """Begins a new measurement of `waiting`."""
        self._waited, self._since = 0.0, time.perf_counter()

    @property
    def waiting(self) -> float:
        """Share of the time since `start_clock` that was spent in `next_batch`, 0…1."""
        passed = time.perf_counter() - self._since
        return self._waited / passed if passed > 0 else 0.0
