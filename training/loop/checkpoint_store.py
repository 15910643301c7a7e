"""Keeps a run's checkpoints: the last two and the best weights, and finds the one to go on from."""

from __future__ import annotations

import logging

import torch

from ...runtime.errors import InputError
from ..runs.run import Run
from .checkpoint import Checkpoint, Position, restore, save_checkpoint, save_weights
from .process_group import ProcessGroup

_log = logging.getLogger("bedside.training")


class CheckpointStore:
    """The checkpoints of a network in training; only the first process writes.

    Args:
        run: the run directory.
        model: the network.
        optimizer: its optimiser.
        team: the processes; all of them call every method together.
    """

    def __init__(self, run: Run, model: torch.nn.Module, optimizer: torch.optim.Optimizer, team: ProcessGroup) -> None:
        self._run = run
        self._model = model
        self._optimizer = optimizer
        self._team = team

    def restore(self) -> Position:
        """Restores the newest checkpoint that can be read and returns its position; the start, if there is none.

        Raises:
            InputError: there are checkpoints, but none can be read, or they belong to another network.
        """
        found: Checkpoint | None = None

        def find() -> str | None:
            nonlocal found
            found = self._newest()
            return found.path.name if found else None

        name = self._team.broadcast_from_first(find)
        if name is None:
            return Position()
        checkpoint = found or Checkpoint.read(self._run.path / name)
        restore(checkpoint, self._model, self._optimizer)
        return checkpoint.position

    def save(self, position: Position) -> None:
        """Keeps the last two checkpoints; the new one is whole before either of them is touched."""
        run = self._run
        save_checkpoint(run.incoming, self._model, self._optimizer, position, write=self._team.first)
        if self._team.first:
            if run.last.exists():
                run.last.replace(run.previous)
            run.incoming.replace(run.last)
        self._team.wait()

    def save_best(self) -> None:
        """Keeps the weights as they are now as the run's best."""
        save_weights(self._run.best, self._model, write=self._team.first)

    def _newest(self) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole; says so if that is not the newest of all."""
        refused: list[str] = []
        for path in self._run.checkpoints():
            try:
                checkpoint = Checkpoint.read(path)
            except InputError as error:
                refused.append(str(error))
                continue
            if refused:
                _log.warning(
                    "%s; going on from %s instead, epoch %d, step %d",
                    "; ".join(refused), path.name, checkpoint.position.epoch, checkpoint.position.step,
                )  # fmt: skip
            return checkpoint
        if refused:
            raise InputError(
                f"{'; '.join(refused)}; bring a checkpoint back from a copy, or start again with another -o"
            )
        return None
