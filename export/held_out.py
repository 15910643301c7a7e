"""Whether the gate's cases of a data set are known to be held out from what a network learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..runtime.engines import default_threads
from ..training.data.case_digest import cases_of_trainings, data_hash, digest_cases
from ..training.data.dataset import Dataset
from ..training.runs.learned_from import LearnedFrom
from .gate_cases import GateChoice

_NOT_KNOWN = "the gate cases are not known to be held out"


def held_out_doubts(dataset: Dataset, choice: GateChoice, trained_on: Mapping[str, LearnedFrom]) -> tuple[str, ...]:
    """Returns why the gate's cases may not be held out, one line each; none where all networks learned from others.

    Where every scan that a network learned from is recorded, the gate's are compared with them, wherever they come
    from. Else the hash over the training and validation cases of its data set decides: where these are still the same,
    the network has learned from no other; where they are not, nothing is known of the gate's cases.

    Args:
        dataset: the data set.
        choice: its cases for the gate.
        trained_on: what a network is → what it learned from.

    Raises:
        InputError: a file cannot be read.
    """
    return tuple(_doubts(dataset, choice, trained_on))


def _doubts(dataset: Dataset, choice: GateChoice, trained_on: Mapping[str, LearnedFrom]) -> Iterator[str]:
    for network, learned in trained_on.items():
        if seen := len(learned.scans & choice.images):
            yield (
                f"{network} has learned from {seen} of the {len(choice.images)} scans of the gate, directly or through "
                "what taught it: their Dice says nothing about new scans"
            )
        elif learned.scans and not learned.knows_all:
            yield f"what taught {network} does not say from which scans it had learned: {_NOT_KNOWN}"
    without_scans = {network: learned.data_hash for network, learned in trained_on.items() if not learned.scans}
    if without_scans or not trained_on:
        yield from _doubts_by_lists(dataset, choice, without_scans)


def _doubts_by_lists(dataset: Dataset, choice: GateChoice, hashes: Mapping[str, str]) -> Iterator[str]:
    """Returns the doubts about networks whose trainings did not record their scans.

    Args:
        dataset: the data set.
        choice: its cases for the gate.
        hashes: what a network is → hash of its training data, empty where it is not recorded.
    """
    gate = {image for image, _ in choice.cases}
    if gate & {case.image for case in dataset.unlabelled}:
        yield f"a gate case is in the list of scans without labels too, from which students may learn: {_NOT_KNOWN}"
    own = ""
    if any(hashes.values()):  # else there is nothing to compare with, and no file need be read
        cases = cases_of_trainings(dataset)
        digests = digest_cases(cases, default_threads())
        own = data_hash(cases, digests)
        trained = {case.name for case in dataset.training}
        pairs = [(case, digest) for case, digest in zip(cases, digests, strict=True) if case.name in trained]
        if any(digest.image in choice.images and case.image not in gate for case, digest in pairs):
            yield "a gate case is a copy of a training case: its Dice says nothing about new scans"
    for network, recorded in hashes.items():
        if not recorded:
            yield f"what {network} was trained on is not recorded: {_NOT_KNOWN}"
        elif recorded != own:
            yield f"{network} was trained on other data, or on another selection of these: {_NOT_KNOWN}"
