"""Detects a diverging loss early, so that a user need not spend 200 epochs on it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

_log = logging.getLogger("bedside.training")

WINDOW = 50  # steps; over so many, the mean loss fluctuates by a few hundredths of the initial loss
RISE = 0.25


class LossTrend(msgspec.Struct, frozen=True):
    """The course of the loss so far; part of a checkpoint.

    The loss diverges when the mean of the last `WINDOW` steps exceeds the lowest such mean so far by more than `RISE`
    times the first such mean. Relative to the initial loss, the rule has no unit and holds for every objective: a loss
    that fell from 3.6 to 0.4 is reported when it is back at 1.3, the loss of a network that predicts only background.

    Attributes:
        recent: losses of the last steps, at most `WINDOW`.
        first: mean loss of the first `WINDOW` steps; None before.
        lowest: lowest mean loss of `WINDOW` consecutive steps; None before.
        warned: whether the divergence was logged.
    """

    recent: tuple[float, ...] = ()
    first: float | None = None
    lowest: float | None = None
    warned: bool = msgspec.field(default=False, name="told")  # its name in checkpoints

    def after(self, loss: float) -> LossTrend:
        """Returns the trend after one more step with this loss."""
        recent = (*self.recent, loss)[-WINDOW:]
        if len(recent) < WINDOW:
            return msgspec.structs.replace(self, recent=recent)
        mean = _mean(recent)
        first = mean if self.first is None else self.first
        lowest = mean if self.lowest is None else min(mean, self.lowest)
        return msgspec.structs.replace(self, recent=recent, first=first, lowest=lowest)

    @property
    def diverges(self) -> bool:
        """Whether the loss diverges."""
        if self.first is None or self.lowest is None:
            return False
        return _mean(self.recent) > self.lowest + RISE * self.first

    def with_warning(self, epoch: int) -> LossTrend:
        """Logs a warning if the loss diverges and none was logged yet; returns the trend with this recorded."""
        if self.warned or not self.diverges:
            return self
        _log.warning(
            "the loss is climbing: %.3g over the last %d steps (epoch %d), after %.3g at its best; "
            "it may not come back: start again with a lower --lr or a longer --warmup, and another -o",
            _mean(self.recent),
            WINDOW,
            epoch,
            self.lowest,
        )
        return msgspec.structs.replace(self, warned=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
