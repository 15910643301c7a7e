"""Stores a run's last two checkpoints and its best weights, and finds the checkpoint to resume from."""

from __future__ import annotations

import logging
from dataclasses import replace

import msgspec
import torch

from ...runtime.errors import InputError
from ..runs.best_weights import BestWeights, ClassOffsetsRecord
from ..runs.run import Run
from .checkpoint import Checkpoint, Position, copy_weights, load_weights, restore, save_checkpoint, save_weights
from .process_group import ProcessGroup

_log = logging.getLogger("bedside.training")


class CheckpointStore:
    """The checkpoint store of a training; only the first process writes.

    Args:
        run: run directory.
        model: network in training.
        optimizer: the network's optimiser.
        group: process group; all its processes must call every method together.
    """

    def __init__(self, run: Run, model: torch.nn.Module, optimizer: torch.optim.Optimizer, group: ProcessGroup) -> None:
        self._run = run
        self._model = model
        self._optimizer = optimizer
        self._group = group

    def restore(self) -> Position:
        """Restores the newest readable checkpoint and returns its position; without one, epoch 0, step 0.

        Raises:
            InputError: no checkpoint of the run can be read, they or the best weights are gone, or they belong to
                another network.
        """
        found: Checkpoint | None = None

        def find() -> str | None:
            nonlocal found
            found = self._newest()
            if found:
                self._check_best(found.position)
            if found and found.path == self._run.incoming and not self._run.last.exists():
                # A killed `save` ends here: a run whose last step was done would otherwise stay without its newest.
                found = replace(found, path=found.path.replace(self._run.last))
            return found.path.name if found else None

        name = self._group.broadcast_from_first(find)
        if name is None:
            return Position()
        checkpoint = found or Checkpoint.read(self._run.path / name)
        restore(checkpoint, self._model, self._optimizer)
        return checkpoint.position

    def save(self, position: Position) -> None:
        """Saves a checkpoint and keeps the one before it; neither is replaced before the new file is complete."""
        run = self._run
        save_checkpoint(run.incoming, self._model, self._optimizer, position, write=self._group.first)
        if self._group.first:
            if run.last.exists():
                run.last.replace(run.previous)
            run.incoming.replace(run.last)
        self._group.wait()

    def save_best(self, about: BestWeights) -> None:
        """Saves the current weights as the run's best, and what they are.

        Where a longer run replaces weights with class offsets by some that have none yet, the old ones are kept until
        `choose_best` can compare them.
        """
        run = self._run
        if self._group.first and not about.class_offsets.epochs:
            before = run.best_weights()
            if before.has_class_offsets:
                copy_weights(run.best, run.best_before, before)
        save_weights(run.best, self._model, about=about, write=self._group.first)

    def choose_best(self, dice: float | None) -> float | None:
        """Takes the weights from before the run was made longer if these had the higher Dice.

        Args:
            dice: mean validation Dice of the best weights now, with any class offsets; None without a score.

        Returns:
            That of the chosen weights.
        """
        run = self._run
        before = self._group.broadcast_from_first(lambda: BestWeights.read(run.best_before))
        if before.final_dice is None:
            return dice
        if dice is None or dice < before.final_dice:
            load_weights(run.best_before, self._model)
            offsets = ClassOffsetsRecord(run.config.recipe.epochs, before.final_dice)
            self.save_best(msgspec.structs.replace(before, class_offsets=offsets))
            dice = before.final_dice
            if self._group.first:
                _log.info("the weights of epoch %s stay the best: those that followed have a lower Dice", before.epoch)
        self._group.wait()  # all have read the file
        if self._group.first:
            run.best_before.unlink()
        return dice

    def _check_best(self, position: Position) -> None:
        """Checks that the best weights are still there: no later epoch may be as good."""
        run = self._run
        if (position.best is not None or position.epoch >= run.planned) and not run.best.exists():
            raise InputError(
                f'{run.best.name} in "{run.name}" is gone; restore it from a backup, or start again with another -o'
            )

    def _newest(self) -> Checkpoint | None:
        """Reads the newest intact checkpoint, None for a run that begins; logs a warning if a newer one is damaged."""
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
                    "; ".join(refused),
                    path.name,
                    checkpoint.position.epoch,
                    checkpoint.position.step,
                )
            return checkpoint
        if refused:
            raise InputError(
                f"{'; '.join(refused)}; restore a checkpoint from a backup, or start again with another -o"
            )
        epochs = len(self._run.rows())
        if epochs > 1:  # the figures of the first epoch are written before its checkpoint
            raise InputError(
                f'"{self._run.name}" has done {epochs} epochs and holds no checkpoint; restore {self._run.last.name} '
                "from a backup, or start again with another -o"
            )
        return None
