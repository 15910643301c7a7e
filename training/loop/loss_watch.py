"""Notices a loss that climbs, before 200 epochs are spent on it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

_log = logging.getLogger("bedside.training")

WINDOW = 50  # steps: the mean of as many crops' losses wavers by a few hundredths of where training began
CLIMB = 0.25


@dataclass(frozen=True)
class LossTrend:
    """How the loss has gone so far; part of a checkpoint.

    The loss diverges when the mean of the last `WINDOW` steps lies above the lowest such mean so far by more than
    `CLIMB` times the first one. Measured in the loss the training began with, the rule knows no unit and holds for
    every objective: a loss that began at 3.6 and came down to 0.4 is reported when it is back at 1.3, where a network
    that calls everything background would be.

    Attributes:
        recent: the last steps' losses, at most `WINDOW`.
        first: mean of the first `WINDOW` steps, or None before.
        lowest: lowest mean of `WINDOW` steps in a row, or None before.
        told: whether it was reported.
    """

    recent: tuple[float, ...] = ()
    first: float | None = None
    lowest: float | None = None
    told: bool = False

    def after(self, loss: float) -> LossTrend:
        """Returns the trend after one more step."""
        recent = (*self.recent, loss)[-WINDOW:]
        if len(recent) < WINDOW:
            return replace(self, recent=recent)
        mean = _mean(recent)
        lowest = mean if self.lowest is None else min(mean, self.lowest)
        return replace(self, recent=recent, first=mean if self.first is None else self.first, lowest=lowest)

    @property
    def climbs(self) -> bool:
        """Whether the loss diverges."""
        if self.first is None or self.lowest is None:
            return False
        return _mean(self.recent) > self.lowest + CLIMB * self.first

    def told_of(self, epoch: int) -> LossTrend:
        """Says once, in the log, that the loss diverges, if it does, and returns the trend that remembers it."""
        if self.told or not self.climbs:
            return self
        _log.warning(
            "the loss is climbing: %.3g over the last %d steps (epoch %d), after %.3g at its best; "
            "it may not come back: start again with a lower --lr, or a longer --warmup",
            _mean(self.recent), WINDOW, epoch, self.lowest,
        )  # fmt: skip
        return replace(self, told=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
