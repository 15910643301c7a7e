"""Writes the metrics of a training as CSV, its pictures as PNG, and both for TensorBoard."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError
from ...runtime.files.atomic import atomic_write, make_folder
from ..data.prepared_case import PreparedCase
from .pictures import case_picture
from .run import Run

_log = logging.getLogger("bedside.training")


class RunWriter:
    """Context manager that writes metrics and pictures into a run directory.

    Args:
        run: run directory.
        active: whether this process writes; if not, every method does nothing.
        epoch: first epoch to train; TensorBoard discards this and later epochs of an interrupted run.
    """

    def __init__(self, run: Run, *, active: bool, epoch: int) -> None:
        self._run = run
        self._active = active
        self._epoch = epoch
        self._pictures = True
        self._events: _EventWriter | None = None

    def __enter__(self) -> RunWriter:
        if self._active:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._events = SummaryWriter(str(self._run.path / "events"), purge_step=self._epoch or None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Writes the metrics of an epoch."""
        if self._events is None:
            return
        self._run.log(epoch, row)
        for name, value in row.items():
            if not math.isnan(value):
                self._events.add_scalar(name.replace("dice_", "dice/"), value, epoch)
        self._events.flush()

    def draw(self, epoch: int, case: PreparedCase, labels: NDArray[Any]) -> None:
        """Draws a validation case; without matplotlib, logs this once and draws nothing."""
        if self._events is None or not self._pictures:
            return
        try:
            png = case_picture(case.image(), case.organs(), labels, self._run.config.task, f"epoch {epoch}")
        except MissingExtraError as error:
            self._pictures = False
            _log.warning("no pictures of validation cases: %s", error)
            return
        with atomic_write(make_folder(self._run.pictures) / f"epoch_{epoch:04d}.png") as temporary:
            temporary.write_bytes(png)
        from PIL import Image

        self._events.add_image(
            "validation", np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), epoch, dataformats="HWC"
        )


class _EventWriter(Protocol):
    """The methods of TensorBoard's writer that `RunWriter` uses."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def add_image(self, tag: str, img_tensor: NDArray[Any], global_step: int, *, dataformats: str) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
