"""The settings of a search for students, and the designs it draws."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.plan import TrainingPlan

if TYPE_CHECKING:
    from bedside.distill.students.edge_unet_design import EdgeUNetDesign

_FINEST = (8, 16, 24)  # channels of the finest level; all channels are multiples of 8
_GROWTH = (1.5, 2.0)  # of the channels from level to level
_MOST_CHANNELS = 192
_LEVELS = (3, 4, 5)
_DECODER = (8, 16, 24, 32)  # channels of the decoder's finest level


class Plan(TrainingPlan, frozen=True, kw_only=True):
    """Settings that all runs of a folder share; further ones are `TrainingPlan`'s.

    Attributes:
        seconds: CPU seconds of a candidate's first training; each further round has twice as many.
        candidates: designs in the first round; each further round keeps the better half.
        rounds: number of rounds.
        reference: the student whose time per window the budget is a share of.
        budget: most time per window, as a share of the reference's.
        search_seed: seed of the designs that are drawn.
    """

    seconds: float
    candidates: int
    rounds: int
    reference: str
    budget: float
    search_seed: int


def drawn_designs(seed: int) -> Iterator[EdgeUNetDesign]:
    """Yields random designs without end, each once: levels, channels, decoder, resolution of the stem, blocks."""
    from bedside.distill.students.edge_unet_design import EdgeUNetDesign

    draw = random.Random(seed)
    seen: set[EdgeUNetDesign] = set()
    while True:
        levels, growth = draw.choice(_LEVELS), draw.choice(_GROWTH)
        channels = _grown(draw.choice(_FINEST), growth, levels)
        decoder = _grown(draw.choice(_DECODER), draw.choice((1.0, *_GROWTH)), levels - 1)
        residual = draw.choice((0, 0, 1))
        design = EdgeUNetDesign(
            channels=channels,
            decoder=tuple(min(width, skip) for width, skip in zip(decoder, channels[:-1], strict=True)),
            stem_stride=draw.choice((1, 2)),
            residual_blocks=(0, *(residual for _ in channels[1:])) if residual else (),
        )
        if design not in seen:
            seen.add(design)
            yield design


def _grown(finest: int, growth: float, levels: int) -> tuple[int, ...]:
    return tuple(min(_MOST_CHANNELS, 8 * round(finest * growth**level / 8)) for level in range(levels))


def run_folder(out: Path, student: str, number: int) -> Path:
    """Returns the run directory of a candidate in a round, counted from 0."""
    return out / "runs" / f"{student}_{number}"
