"""The orders in which slices are segmented: each slice after the one whose history it takes over."""

from __future__ import annotations

from dataclasses import dataclass

ORDERS = ("middle", "end")
"""From the middle slice to both ends in parallel (the paper's), or from the first slice to the last."""

RUN_LENGTHS = (2, 3, 4)
"""Slices of a run in training: one slice and the 1 to 3 before it (3D-SAutoMed, section 2.2)."""


@dataclass(frozen=True)
class Step:
    """Slices that are segmented together.

    Attributes:
        slices: their numbers.
        previous: for each, the place of its predecessor among the slices of the step before; empty in the first step.
    """

    slices: tuple[int, ...]
    previous: tuple[int, ...]


def whole_walk(depth: int, order: str) -> list[Step]:
    """Returns the steps over all slices of a volume.

    >>> [step.slices for step in whole_walk(5, "middle")]
    [(2,), (3, 1), (4, 0)]
    """
    if order == "end":
        return _together([list(range(depth))])
    up, down = _halves(depth)
    return _together([up, [up[0], *down]], share_first=True)


def training_walk(depth: int, order: str) -> list[Step]:
    """Returns the steps over all slices, in runs that begin without history and are walked side by side.

    The order is cut into runs of 2, 3 and 4 slices in turn, so that in every step of training slices follow 1, 2 and 3
    others; where a training crop lies is random, and so which slice is in which run.

    >>> [step.slices for step in training_walk(9, "end")]
    [(0, 2, 5), (1, 3, 6), (4, 7), (8,)]
    """
    chains = [list(range(depth))] if order == "end" else list(_halves(depth))
    return _together([run for chain in chains for run in _runs(chain)])


def _halves(depth: int) -> tuple[list[int], list[int]]:
    """Returns the slices from the middle one upwards, and those below it, downwards."""
    middle = depth // 2
    return list(range(middle, depth)), list(range(middle - 1, -1, -1))


def _runs(chain: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    start = 0
    while start < len(chain):
        length = RUN_LENGTHS[len(runs) % len(RUN_LENGTHS)]
        runs.append(chain[start : start + length])
        start += length
    return runs


def _together(chains: list[list[int]], *, share_first: bool = False) -> list[Step]:
    """Returns the steps that walk the chains side by side; with ``share_first`` all begin with the same slice."""
    steps: list[Step] = []
    alive = list(range(len(chains)))
    for number in range(max(len(chain) for chain in chains)):
        going = [chain for chain in alive if number < len(chains[chain])]
        previous = tuple(alive.index(chain) for chain in going) if number else ()
        if share_first and number == 0:
            steps.append(Step((chains[0][0],), ()))
        elif share_first and number == 1:
            steps.append(Step(tuple(chains[chain][1] for chain in going), (0,) * len(going)))
        else:
            steps.append(Step(tuple(chains[chain][number] for chain in going), previous))
        alive = going
    return steps
