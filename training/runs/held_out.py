"""Whether scored scans are known to be held out from those that networks learned from, or that chose them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...runtime.scans.names import joined_names
from .learned_from import LearnedFrom

Networks = Sequence[tuple[str, LearnedFrom]]


def learned_by(paths: Iterable[Path]) -> Networks:
    """Returns the name of each run directory or bundle, and what its network learned from.

    Raises:
        InputError: a path is neither, or a run's record cannot be read.
        BundleError: a bundle was altered.
        ResourceError: memory, file descriptors or disk space do not suffice.
    """
    return [(path.resolve().name, LearnedFrom.of(path)) for path in paths]


def held_out_doubts(networks: Networks, scored: frozenset[str], what: str, *, choosing: bool = True) -> tuple[str, ...]:
    """Returns why scored scans may not be held out, one line each; none where every network learned from other scans.

    Args:
        networks: name of each network, for messages, and what it learned from; names may be equal.
        scored: SHA-256 of the image files of the scored scans.
        what: what these scans are, in the plural, such as "test scans".
        choosing: whether scans that chose a network's best epoch are a doubt too; not of a student's validation scans,
            which best are its teachers' as well.
    """
    return tuple(_doubts(networks, scored, what, choosing=choosing)) if scored else ()


def _doubts(networks: Networks, scored: frozenset[str], what: str, *, choosing: bool) -> Iterator[str]:
    of_scored = f"of the {len(scored)} {what}, or copies of them, are"
    for count, names, pronoun in _counted((name, learned.scans & scored) for name, learned in networks):
        yield (
            f"{count} {of_scored} among those from which {names} learned, directly or through what taught {pronoun}: "
            "their Dice is too high, and says nothing about new scans"
        )
    chose = ((name, learned.validation_scans & scored) for name, learned in networks if choosing)
    for count, names, pronoun in _counted(chose):
        yield (
            f"{count} {of_scored} validation scans of {names}, or of what taught {pronoun}: they chose the best epoch, "
            "and any class offsets were fitted to them, so that their Dice is too high for new scans"
        )
    for _, names, pronoun in _counted((name, scored) for name, learned in networks if not learned.knows_all):
        yield (
            f"not every scan is recorded from which {names}, or what taught {pronoun}, learned: the {what} are not "
            "known to be held out"
        )


def _counted(found: Iterable[tuple[str, frozenset[str]]]) -> Iterator[tuple[int, str, str]]:
    """Yields, for each set of scans but the empty one, their number, the names of the networks, and their pronoun.

    A name comes once: a network may teach and be started from.
    """
    networks: dict[frozenset[str], list[str]] = {}
    for name, scans in found:
        networks.setdefault(scans, []).append(name)
    for scans, names in networks.items():
        if scans:
            yield len(scans), joined_names(dict.fromkeys(names)), "it" if len(names) == 1 else "them"
