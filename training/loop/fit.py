"""The training loop, the same for teachers and students; Lightning Fabric brings device, precision and processes."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import torch
from lightning_fabric import Fabric

from ...runtime.errors import Cancelled
from ..data.crops import CropSource
from ..data.labels_seen import unseen_labels, validation_warning
from ..data.prepared_case import PreparedCase
from ..runs.run import Run
from ..runs.run_writer import RunWriter
from ..scores.metrics import finite_mean
from .checkpoint import Position
from .checkpoint_store import CheckpointStore
from .hardware import default_workers
from .interrupt import StopRequest, TrainingInterrupted
from .loader import CropLoader, CropOrder
from .process_group import ProcessGroup
from .schedule import learning_rate
from .step import Objective, Stepper
from .validate import validate

_log = logging.getLogger("bedside.training")


class FitProgress(Protocol):
    """Hears how far training is."""

    def __call__(self, done: int, total: int, note: str) -> None:
        """Called after each step with steps done, steps in all and a note such as the current loss."""
        ...


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Attributes:
        best: best mean validation Dice over the organs, or None where there was no score.
        loss: mean loss of the last epoch.
    """

    best: float | None
    loss: float


def fit(
    run: Run,
    model: torch.nn.Module,
    objective: Objective,
    sources: Sequence[CropSource],
    validation: Sequence[PreparedCase],
    fabric: Fabric,
    *,
    workers: int | None = 0,
    progress: FitProgress | None = None,
) -> FitResult:
    """Trains a network in a run directory, going on from its last checkpoint if there is one.

    Only parameters with ``requires_grad`` are given to the optimiser. The best weights by mean validation Dice over
    the organs are kept in ``best.safetensors``, the later ones of two that score the same; without validation cases,
    or where they hold no organ and so give no score, the last epoch's. Every process of a training calls it; the first
    one writes and reports progress.

    Args:
        run: the run directory.
        model: gives logits ``[B, C, D, H, W]``.
        objective: its loss.
        sources: what crops are drawn from.
        validation: cases to choose the best epoch by; may be empty.
        fabric: device, precision, processes; launched.
        workers: threads that load crops; None: as many as the device calls for.
        progress: hears of every step.

    Raises:
        TrainingInterrupted: SIGTERM or Ctrl-C on any process; the state was saved.
        DivergedError: the loss became NaN or infinite; the last good checkpoint stays.
        InputError: there are checkpoints, but none that can be read or that fits the network.
    """
    warning = _validation_warning(run, validation)
    if warning and fabric.is_global_zero:
        _log.warning("%s", warning)
    workers = default_workers(fabric) if workers is None else workers
    with StopRequest() as stop:
        return _Fit(run, model, objective, sources, validation, fabric, stop, progress).train(sources, workers)


class _Fit:
    """A training under way: epoch by epoch, each with its steps, its validation and its checkpoint."""

    def __init__(
        self,
        run: Run,
        model: torch.nn.Module,
        objective: Objective,
        sources: Sequence[CropSource],
        validation: Sequence[PreparedCase],
        fabric: Fabric,
        stop: StopRequest,
        progress: FitProgress | None,
    ) -> None:
        self._run, self._fabric, self._stop, self._validation = run, fabric, stop, validation
        self._team = ProcessGroup(fabric)
        self._progress = progress if self._team.first else None
        # How many processes train is a fact, whatever the run was configured for.
        self._recipe = recipe = msgspec.structs.replace(run.config.recipe, processes=self._team.size)
        self._steps = recipe.steps(len(sources))
        self._stepper = Stepper(model, objective, recipe, fabric, self._team)
        self._checkpoints = CheckpointStore(run, model, self._stepper.optimizer, self._team)
        self._position = self._checkpoints.restore()
        if run.planned < recipe.epochs:
            self._lengthen()

    def _lengthen(self) -> None:
        """Makes the run longer, from the next epoch that has not begun: an epoch has one learning rate."""
        run, position = self._run, self._position
        before, epoch = run.planned, position.epoch + (position.step > 0)
        old = self._rate(max(0, epoch - 1), epochs=before)
        run.lengthen(epoch, write=self._team.first)
        if self._team.first:
            _log.warning(
                "the run is made longer, from %d to %d epochs: from epoch %d on the learning rate follows the longer "
                "schedule and goes from %.3g to %.3g", before, self._recipe.epochs, epoch, old, self._rate(epoch),
            )  # fmt: skip

    def _rate(self, epoch: int, *, epochs: int | None = None) -> float:
        """Returns an epoch's learning rate in a run of so many epochs; None: of as many as it was to have then."""
        recipe = self._recipe
        epochs = epochs or self._run.config.epochs_at(epoch)
        return learning_rate(epoch, base=recipe.lr, epochs=epochs, warmup=recipe.warmup)

    def train(self, sources: Sequence[CropSource], workers: int) -> FitResult:
        """Trains from the restored position to the last epoch."""
        recipe, start = self._recipe, self._position
        mean_loss = _last_loss(self._run)
        order = CropOrder(recipe, self._team, steps=self._steps, epoch=start.epoch, step=start.step)
        loader = CropLoader(sources, self._run.config.task, recipe, order, fabric=self._fabric, workers=workers)
        with RunWriter(self._run, active=self._team.first, epoch=start.epoch) as writer, loader:
            for epoch in range(start.epoch, recipe.epochs):
                rate = self._rate(epoch)
                self._stepper.set_rate(rate)
                loader.start_clock()
                self._train_epoch(epoch, loader)
                mean_loss = self._position.loss_sum / self._steps
                row = {"lr": rate, "loss": mean_loss, "waiting": loader.waiting}
                last = epoch + 1 == recipe.epochs
                if self._validation and ((epoch + 1) % recipe.validate_every == 0 or last):
                    row |= self._validate(epoch, writer)
                if last and math.isnan(row.get("dice", math.nan)):
                    self._checkpoints.save_best()
                writer.log(epoch, row)
                self._save(replace(self._position, epoch=epoch + 1, step=0, loss_sum=0.0))
        return FitResult(self._position.best, mean_loss)

    def _train_epoch(self, epoch: int, loader: CropLoader) -> None:
        """Takes the epoch's steps that have not been taken yet."""
        recipe, steps = self._recipe, self._steps
        self._stepper.wrapped.train()
        for step in range(self._position.step, steps):
            loss = self._stepper.step(loader, self._stop, epoch)
            before, done = self._position, step + 1
            trend = before.trend.after(loss)
            self._position = replace(
                before, step=done, loss_sum=before.loss_sum + loss,
                trend=trend.told_of(epoch) if self._team.first else trend,
            )  # fmt: skip
            self._tell(epoch * steps + done, f"loss {self._position.loss_sum / done:.3f}")
            stopped = self._stepper.stop
            if stopped is not None or (done % recipe.checkpoint_every == 0 and done < steps):
                self._save(self._position)
            if stopped is not None:
                raise TrainingInterrupted(stopped)

    def _validate(self, epoch: int, writer: RunWriter) -> dict[str, float]:
        """Returns the validation's row of figures, NaN where there is none; keeps the weights if they are the best."""
        task, stop, drawn = self._run.config.task, self._stop, self._recipe.draws_pictures(epoch)
        self._stepper.wrapped.eval()
        try:
            dice = validate(
                self._predict, self._validation, task, self._team, overlap=self._recipe.validation_overlap,
                device=self._fabric.device, agree=self._stop_together,
                progress=lambda done, total: self._tell(
                    (epoch + 1) * self._steps, f"validating, {done} of {total} cases"
                ),
                shown=(lambda case, labels: writer.draw(epoch, case, labels)) if drawn else None,
            )  # fmt: skip
        except Cancelled:
            self._save(self._position)
            raise TrainingInterrupted(stop.signum or signal.SIGINT) from None
        score = finite_mean(dice[1:])  # NaN where no case holds an organ: no score, which is not a score of 0
        best = self._position.best
        if not math.isnan(score) and (best is None or score >= best):
            self._position = replace(self._position, best=score)
            self._checkpoints.save_best()
        organs = {f"dice_{name}": float(value) for name, value in zip(task.labels, dice, strict=True) if name}
        return {"dice": score, **organs}

    def _predict(self, patches: torch.Tensor) -> torch.Tensor:
        if not self._team.sharded:  # there, a process that leaves would keep the others waiting
            self._stop.raise_here()
        return self._stepper.predict(patches)

    def _stop_together(self) -> None:
        self._stop.signum = self._stop.ask(self._team)
        self._stop.raise_here()

    def _save(self, position: Position) -> None:
        self._position = position
        self._checkpoints.save(position)

    def _tell(self, done: int, note: str) -> None:
        if self._progress:
            self._progress(done, self._recipe.epochs * self._steps, note)


def _validation_warning(run: Run, validation: Sequence[PreparedCase]) -> str | None:
    if not validation:
        return "no validation cases: the last epoch's weights are kept, not the best"
    labels = run.config.task.labels
    return validation_warning(unseen_labels((case.present for case in validation), labels), labels)


def _last_loss(run: Run) -> float:
    """Returns the mean loss of the last epoch on record, for a run that is complete when it is opened."""
    rows = run.rows()
    return float(rows[-1]["loss"]) if rows else math.nan
