"""The training loop, the same for teachers and students; Lightning Fabric brings device, precision and processes."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from ..runtime.errors import BedsideError, Cancelled, ExitCode, UsageError
from .checkpoint import Position, load_checkpoint, save_checkpoint, save_weights
from .crops import CropDataset, CropSource
from .interrupt import StopRequest, TrainingInterrupted, leave_signals_to_the_parent
from .prepare import PreparedCase
from .run import Run
from .schedule import learning_rate
from .validate import validate

_log = logging.getLogger("bedside.training")


class Objective(Protocol):
    """Turns a network's logits and a batch into a loss."""

    def __call__(self, logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Returns the scalar loss of logits ``[B, C, D, H, W]`` for a batch of `CropDataset` items."""
        ...


class FitProgress(Protocol):
    """Hears how far training is."""

    def __call__(self, done: int, total: int, note: str) -> None:
        """Called after each step with steps done, steps in all and a note such as the current loss."""
        ...


class DivergedError(BedsideError):
    """The loss or its gradient is no longer a number: the options do not suit the data."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Attributes:
        best: best mean validation Dice over the organs, or None without validation.
        loss: mean loss of the last epoch.
    """

    best: float | None
    loss: float


def make_fabric(device: str, precision: str, devices: int = 1) -> Fabric:
    """Builds the Fabric that places model and data.

    Args:
        device: "auto", "cpu", "cuda" or what else Lightning Fabric knows.
        precision: Fabric's name of the number format.
        devices: processes.

    Raises:
        UsageError: the device is not there, or mixed precision is asked for on a CPU, where convolutions in bfloat16
            gave gradients of 1e32 (torch 2.15).
    """
    try:
        fabric = Fabric(accelerator=device, devices=devices, precision=precision)  # pyright: ignore[reportArgumentType]
    except (ValueError, RuntimeError, ImportError) as error:
        raise UsageError(f'device "{device}" with precision "{precision}" cannot be used: {error}') from None
    if fabric.device.type == "cpu" and precision != "32-true":
        raise UsageError(f"precision {precision} needs a GPU; on a CPU train in 32-true")
    return fabric


def fit(
    run: Run,
    model: torch.nn.Module,
    objective: Objective,
    sources: Sequence[CropSource],
    validation: Sequence[PreparedCase],
    fabric: Fabric,
    *,
    workers: int = 0,
    progress: FitProgress | None = None,
) -> FitResult:
    """Trains a network in a run directory, going on from its last checkpoint if there is one.

    Only parameters with ``requires_grad`` are given to the optimiser. The best weights by mean validation Dice over
    the organs are kept in ``best.safetensors``; without validation cases, the last epoch's.

    Raises:
        TrainingInterrupted: SIGTERM or Ctrl-C; the state was saved.
        DivergedError: the loss became NaN or infinite; the last good checkpoint stays.
    """
    task, recipe = run.config.task, run.config.recipe
    steps = recipe.steps_per_epoch or math.ceil(len(sources) / (recipe.batch * fabric.world_size))
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay,
    )  # fmt: skip
    wrapped, optimizer = fabric.setup(model, optimizer)
    position = Position()
    newest = run.newest_checkpoint()
    if newest is not None:
        position = load_checkpoint(newest, model, optimizer.optimizer)
    best, mean_loss = position.best, _last_loss(run)
    if not validation:
        _log.warning("no validation cases: the last epoch's weights are kept, not the best")

    with StopRequest() as stop, _Writer(run, fabric) as writer:
        for epoch in range(position.epoch, recipe.epochs):
            rate = learning_rate(epoch, base=recipe.lr, epochs=recipe.epochs, warmup=recipe.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            start = position.step if epoch == position.epoch else 0
            loss_sum = position.loss_sum if start else 0.0
            crops = CropDataset(
                sources, task, recipe, epoch=epoch, length=steps * recipe.batch * fabric.world_size,
                start=start * recipe.batch * fabric.world_size,
            )  # fmt: skip
            # A generator of its own: drawing worker seeds must not move the random state that checkpoints keep.
            loader = DataLoader(
                crops, recipe.batch, num_workers=workers, worker_init_fn=leave_signals_to_the_parent,
                generator=torch.Generator().manual_seed(recipe.seed),
            )  # fmt: skip
            loader = fabric.setup_dataloaders(loader)
            wrapped.train()
            for step, batch in enumerate(loader, start=start):
                loss = objective(wrapped(batch["image"]).float(), batch)
                value = float(loss.detach())
                _check_finite("the loss", value, epoch)
                fabric.backward(loss)
                norm = fabric.clip_gradients(wrapped, optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
                _check_finite("the gradient", 0.0 if norm is None else float(norm), epoch)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                loss_sum += value
                if progress:
                    progress(epoch * steps + step + 1, recipe.epochs * steps, f"loss {loss_sum / (step + 1):.3f}")
                done = step + 1
                if stop.signum is not None or (done % recipe.checkpoint_every == 0 and done < steps):
                    _save(run, fabric, model, optimizer, Position(epoch, done, loss_sum, best))
                if stop.signum is not None:
                    raise TrainingInterrupted(stop.signum)

            mean_loss = loss_sum / steps
            row = {"lr": rate, "loss": mean_loss}
            last_epoch = epoch + 1 == recipe.epochs
            if validation and ((epoch + 1) % recipe.validate_every == 0 or last_epoch):
                wrapped.eval()

                def between_cases(done: int, total: int, epoch: int = epoch) -> None:
                    if stop.signum is not None:
                        raise Cancelled
                    if progress:
                        note = f"validating, {done} of {total} cases"
                        progress((epoch + 1) * steps, recipe.epochs * steps, note)

                try:
                    between_cases(0, len(validation))
                    dice = validate(
                        wrapped, validation, task, overlap=recipe.validation_overlap, device=fabric.device,
                        progress=between_cases,
                    )  # fmt: skip
                except Cancelled:
                    _save(run, fabric, model, optimizer, Position(epoch, steps, loss_sum, best))
                    raise TrainingInterrupted(stop.signum or signal.SIGINT) from None
                score = float(np.nanmean(dice[1:])) if np.isfinite(dice[1:]).any() else 0.0
                row["dice"] = score
                row |= {f"dice_{name}": float(value) for name, value in zip(task.labels, dice, strict=True) if name}
                if best is None or score > best:
                    best = score
                    if fabric.is_global_zero:
                        save_weights(run.best, model)
            if not validation and last_epoch and fabric.is_global_zero:
                save_weights(run.best, model)
            writer.log(epoch, row)
            _save(run, fabric, model, optimizer, Position(epoch + 1, 0, 0.0, best))
    return FitResult(best, mean_loss)


def _last_loss(run: Run) -> float:
    """Returns the mean loss of the last epoch on record, for a run that is complete when it is opened."""
    rows = run.rows()
    return float(rows[-1]["loss"]) if rows else math.nan


def _check_finite(what: str, value: float, epoch: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"{what} became {value} in epoch {epoch}; start again with a lower --lr, or with --precision 32-true"
        )


def _save(
    run: Run, fabric: Fabric, model: torch.nn.Module, optimizer: torch.optim.Optimizer, position: Position
) -> None:
    """Keeps the last two checkpoints; the new one is whole before either of them is touched."""
    if fabric.is_global_zero:
        save_checkpoint(run.incoming, model, optimizer, position)
        if run.last.exists():
            run.last.replace(run.previous)
        run.incoming.replace(run.last)
    fabric.barrier()


class _Writer:
    """Writes an epoch's figures to CSV and TensorBoard."""

    def __init__(self, run: Run, fabric: Fabric) -> None:
        self._run = run
        self._active = fabric.is_global_zero
        self._events: _EventWriter | None = None

    def __enter__(self) -> _Writer:
        if self._active:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._events = SummaryWriter(str(self._run.path / "events"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()

    def log(self, epoch: int, row: dict[str, float]) -> None:
        if self._events is None:
            return
        self._run.log(epoch, row)
        for name, value in row.items():
            self._events.add_scalar(name.replace("dice_", "dice/"), value, epoch)
        self._events.flush()


class _EventWriter(Protocol):
    """What is used of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
