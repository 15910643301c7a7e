"""Whether scored scans are known to be held out from those that networks learned from, or that chose them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...runtime.scans.names import joined_names
from .learned_from import LearnedFrom

Networks = Sequence[tuple[str, LearnedFrom]]
_Found = Sequence[tuple[str, frozenset[str]]]  # names of networks, and scans


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
    if taught := [(name, found) for name, learned in networks if (found := learned.scans & scored)]:
        yield (
            f"{_count(taught)} {of_scored} among those from which {_names(taught)} learned, directly or through what "
            f"taught {_pronoun(taught)}: their Dice is too high, and says nothing about new scans"
        )
    chose = [(name, found) for name, learned in networks if (found := learned.validation_scans & scored)]
    if choosing and chose:
        yield (
            f"{_count(chose)} {of_scored} validation scans of {_names(chose)}: they chose the best epoch, and any "
            "class offsets were fitted to them, so that their Dice is too high for new scans"
        )
    unknown = [(name, scored) for name, learned in networks if not learned.knows_all and not learned.scans & scored]
    if unknown:
        yield (
            f"not every scan is recorded from which {_names(unknown)}, or what taught {_pronoun(unknown)}, learned: "
            f"the {what} are not known to be held out"
        )


def _count(found: _Found) -> int:
    """Returns the number of different scans."""
    return len(frozenset[str]().union(*(scans for _, scans in found)))


def _names(found: _Found) -> str:
    """Returns the names with commas between them, each once: a network may teach and be started from."""
    return joined_names(dict.fromkeys(name for name, _ in found))


def _pronoun(found: _Found) -> str:
    return "it" if len(found) == 1 else "them"
