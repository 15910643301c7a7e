"""The training loop of teachers and students; Lightning Fabric provides device, precision and processes."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import torch
from lightning_fabric import Fabric

from ...runtime.errors import Cancelled
from ...runtime.hooks import Progress
from ..data.crops import CropSource
from ..data.missing_labels import missing_in_validation_warning, missing_labels
from ..data.prepared_case import PreparedCase
from ..runs.best_weights import BestWeights, ClassOffsetsRecord
from ..runs.run import Run
from ..runs.run_writer import RunWriter
from ..scores.metrics import finite_mean
from .checkpoint import Position, load_weights
from .checkpoint_store import CheckpointStore
from .class_offsets import offset_classes, record_choice, warn_of_no_offsets
from .hardware import default_workers
from .interrupt import StopRequest, TrainingInterrupted
from .loader import CropLoader, CropOrder
from .loss_watch import LossTrend
from .objective import DeeplySupervised, Objective
from .process_group import ProcessGroup
from .step import Stepper
from .validate import validate
from .weight_average import WeightAverage

_log = logging.getLogger("bedside.training")


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """The network of a training, its loss and its data.

    Attributes:
        model: network with logits ``[B, C, D, H, W]``, or `DeeplySupervised`; only parameters with ``requires_grad``
            are trained.
        objective: loss function.
        sources: training cases to draw crops from.
        validation: cases that decide which epoch is best; may be empty.
    """

    model: torch.nn.Module
    objective: Objective
    sources: Sequence[CropSource]
    validation: Sequence[PreparedCase] = ()


@dataclass(frozen=True)
class FitResult:
    """The final figures of a training.

    Attributes:
        best: best mean validation Dice over the organs, 0…1; None without a score.
        loss: mean loss of the last epoch.
    """

    best: float | None
    loss: float


def fit(
    run: Run,
    setup: TrainingSetup,
    fabric: Fabric,
    *,
    workers: int | None = 0,
    progress: Progress | None = None,
) -> FitResult:
    """Trains a network in a run directory, resuming from the newest checkpoint if the run has one.

    ``best.safetensors`` keeps the weights with the best mean validation Dice over the organs, the later ones if two
    epochs score the same. Without validation cases, or if these contain no organ and so give no score, it keeps the
    last epoch's weights. Every process of a training calls this function; the first one writes and reports progress.

    Args:
        run: run directory.
        setup: network, loss and data.
        fabric: launched Fabric with device, precision and processes.
        workers: threads that load crops; None: `default_workers`.
        progress: called after each step and each validated case with (optimiser steps done, steps in total, note);
            None reports nothing.

    Raises:
        TrainingInterrupted: a process received SIGTERM or Ctrl-C; the state was saved.
        DivergedError: the loss became NaN or infinite; the last good checkpoint is kept.
        InputError: no checkpoint of the run can be read, or they do not fit the network.
    """
    warning = _validation_warning(run, setup.validation)
    if warning and fabric.is_global_zero:
        _log.warning("%s", warning)
    workers = default_workers(fabric) if workers is None else workers
    with StopRequest() as stop:
        return _Fit(run, setup, fabric, stop, progress).train(workers)


class _Fit:
    """A training in progress. Each epoch runs its steps, validates and saves a checkpoint."""

    def __init__(
        self, run: Run, setup: TrainingSetup, fabric: Fabric, stop: StopRequest, progress: Progress | None
    ) -> None:
        self._run, self._setup, self._fabric, self._stop = run, setup, fabric, stop
        self._group = ProcessGroup(fabric)
        self._progress = progress if self._group.first else None
        # The actual number of processes decides; a resumed run may have been configured for another.
        self._recipe = recipe = msgspec.structs.replace(run.config.recipe, processes=self._group.size)
        self._steps = recipe.steps(sum(source.case.labelled for source in setup.sources))
        self._stepper = Stepper(setup.model, setup.objective, recipe, fabric, self._group)
        self._average = WeightAverage(setup.model, self._stepper.optimizer, recipe.average_weights)
        self._checkpoints = CheckpointStore(run, setup.model, self._stepper.optimizer, self._group)
        self._position = self._checkpoints.restore()
        if run.planned < recipe.epochs:
            self._lengthen()

    def _lengthen(self) -> None:
        """Lengthens the run from the next epoch that has not begun: one epoch has one learning rate."""
        run, position = self._run, self._position
        before, epoch = run.planned, position.epoch + (position.step > 0)
        run.lengthen(epoch, write=self._group.first)
        if self._group.first:
            _log.warning(
                "the run is made longer, from %d to %d epochs: from epoch %d on the learning rate follows the longer "
                "schedule and goes from %.3g to %.3g",
                before,
                self._recipe.epochs,
                epoch,
                self._rate(max(0, epoch - 1)),
                self._rate(epoch),
            )

    def _rate(self, epoch: int) -> float:
        """Returns an epoch's learning rate, by the length that the run had when it trained this epoch."""
        return self._recipe.learning_rate(epoch, epochs=self._run.config.epochs_at(epoch))

    def _start_phase(self, epoch: int) -> None:
        """Tells a network with deep supervision which of its outputs this epoch trains."""
        model = self._setup.model
        if not isinstance(model, DeeplySupervised):
            return
        model.auxiliary_alone = self._trains_auxiliary_alone(epoch)
        begins = epoch > 0 and self._position.step == 0
        if begins and model.auxiliary_alone != self._trains_auxiliary_alone(epoch - 1):
            # The loss has another term from here on: its rise is no divergence.
            self._position = replace(self._position, trend=LossTrend(warned=self._position.trend.warned))

    def _trains_auxiliary_alone(self, epoch: int) -> bool:
        return self._recipe.trains_auxiliary_alone(epoch, epochs=self._run.config.epochs_at(epoch))

    def train(self, workers: int) -> FitResult:
        """Trains from the restored position to the last epoch."""
        recipe, start, task = self._recipe, self._position, self._run.config.task
        mean_loss = self._run.last_loss()  # of a run that is complete when opened
        if self._group.first and recipe.class_offsets and self._run.best_weights().class_offsets.epochs < recipe.epochs:
            warn_of_no_offsets(self._setup.model.eval(), self._setup.validation, task, sharded=self._group.sharded)
        order = CropOrder(recipe, self._group, steps=self._steps, epoch=start.epoch, step=start.step)
        loader = CropLoader(self._setup.sources, task, recipe, order, fabric=self._fabric, workers=workers)
        with RunWriter(self._run, active=self._group.first, epoch=start.epoch) as writer, loader:
            for epoch in range(start.epoch, recipe.epochs):
                rate = self._rate(epoch)
                self._stepper.start_epoch(rate, self._position.gradients if self._position.step else None)
                self._start_phase(epoch)
                loader.start_clock()
                self._train_epoch(epoch, loader)
                mean_loss = self._position.loss_sum / self._steps
                row = {"lr": rate, "loss": mean_loss, "waiting": loader.waiting}
                row |= {f"gradient_{term}": norm for term, norm in self._stepper.gradient_norms.items()}
                last = epoch + 1 == recipe.epochs
                if self._setup.validation and ((epoch + 1) % recipe.validate_every == 0 or last):
                    row |= self._validate(epoch, writer)
                if last and math.isnan(row.get("dice", math.nan)):
                    with self._average.in_use():
                        self._checkpoints.save_best(BestWeights(epoch))
                writer.log(epoch, row)
                self._save(replace(self._position, epoch=epoch + 1, step=0, loss_sum=0.0, gradients={}))
        return FitResult(self._checkpoints.choose_best(self._offset_classes()), mean_loss)

    def _train_epoch(self, epoch: int, loader: CropLoader) -> None:
        """Runs the remaining steps of an epoch; saves a checkpoint every `Recipe.checkpoint_every` steps."""
        recipe, steps = self._recipe, self._steps
        self._stepper.wrapped.train()
        for step in range(self._position.step, steps):
            loss = self._stepper.step(loader, self._stop, epoch)
            before, done = self._position, step + 1
            self._average.update(epoch * steps + done)
            trend = before.trend.after(loss)
            self._position = replace(
                before,
                step=done,
                loss_sum=before.loss_sum + loss,
                trend=trend.with_warning(epoch) if self._group.first else trend,
                gradients=self._stepper.gradient_norms,
            )
            self._report(epoch * steps + done, f"loss {self._position.loss_sum / done:.3f}")
            stopped = self._stepper.stop
            if stopped is not None or (done % recipe.checkpoint_every == 0 and done < steps):
                self._save(self._position)
            if stopped is not None:
                raise TrainingInterrupted(stopped)

    def _validate(self, epoch: int, writer: RunWriter) -> dict[str, float]:
        """Validates and saves the weights if they are the best; returns Dice per organ and the mean, NaN if absent."""
        task, stop, drawn = self._run.config.task, self._stop, self._recipe.draws_pictures(epoch)

        def report(done: int, total: int) -> None:
            self._report((epoch + 1) * self._steps, f"validating, {done} of {total} cases")

        self._stepper.start_validation()
        try:
            with self._average.in_use():
                dice = validate(
                    self._predict,
                    self._setup.validation,
                    task,
                    self._group,
                    overlap=self._recipe.validation_overlap,
                    agree=self._stop_together,
                    progress=report,
                    shown=(lambda case, labels: writer.draw(epoch, case, labels)) if drawn else None,
                )
                score = finite_mean(dice[1:])  # NaN where no case holds an organ: no score, which is not a score of 0
                best = self._position.best
                if not math.isnan(score) and (best is None or score >= best):
                    self._position = replace(self._position, best=score)
                    self._checkpoints.save_best(BestWeights(epoch, score))
        except Cancelled:
            self._save(self._position)
            raise TrainingInterrupted(stop.signum or signal.SIGINT) from None
        organs = {f"dice_{name}": float(value) for name, value in zip(task.labels[1:], dice[1:], strict=True)}
        return {"dice": score, **organs}

    def _offset_classes(self) -> float | None:
        """Gives the best weights class offsets if wanted; returns their validation Dice, None without a score."""
        run, epochs = self._run, self._recipe.epochs
        weights = self._group.broadcast_from_first(run.best_weights)
        if self._group.first:
            record_choice(run, weights, wanted=self._recipe.class_offsets)
        # A second search would find others, on top of those.
        if weights.class_offsets.epochs >= epochs or not self._recipe.class_offsets:
            return weights.final_dice
        load_weights(run.best, self._setup.model)
        dice = self._search_offsets(weights.final_dice)
        score = weights.final_dice if dice is None else dice
        weights = msgspec.structs.replace(weights, class_offsets=ClassOffsetsRecord(epochs, score))
        self._checkpoints.save_best(weights)
        return score

    def _search_offsets(self, dice: float | None) -> float | None:
        """Does what `offset_classes` does; the network has the best weights, with this Dice."""
        self._stepper.wrapped.eval()
        try:
            return offset_classes(
                self._setup.model,
                self._predict,
                self._setup.validation,
                self._run.config.task,
                self._group,
                dice=dice,
                overlap=self._recipe.validation_overlap,
                agree=self._stop_together,
                progress=lambda done, total, note="": self._report(
                    self._recipe.epochs * self._steps, f"class offsets, {done} of {total} cases"
                ),
            )
        except Cancelled:
            raise TrainingInterrupted(self._stop.signum or signal.SIGINT) from None

    def _predict(self, patches: torch.Tensor) -> torch.Tensor:
        if not self._group.sharded:  # in a sharded network the others would wait for it
            self._stop.raise_if_received()
        return self._stepper.predict(patches)

    def _stop_together(self) -> None:
        self._stop.raise_if_any_received(self._group)

    def _save(self, position: Position) -> None:
        self._position = position
        self._checkpoints.save(position)

    def _report(self, done: int, note: str) -> None:
        if self._progress:
            self._progress(done, self._recipe.epochs * self._steps, note)


def _validation_warning(run: Run, validation: Sequence[PreparedCase]) -> str | None:
    if not validation:
        return "no validation cases: the last epoch's weights are kept, not the best"
    labels = run.config.task.labels
    return missing_in_validation_warning(missing_labels((case.present for case in validation), labels), labels)
