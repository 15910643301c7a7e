"""Whether the gate's cases of a data set are known to be held out from what a network learned from or was chosen by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..runtime.engines import default_threads
from ..training.data.case_digest import CaseDigest, cases_of_trainings, data_hash, digest_cases
from ..training.data.dataset import Case, Dataset
from ..training.runs.learned_from import LearnedFrom
from .gate_cases import GateChoice

_NOT_KNOWN = "the gate cases are not known to be held out"
_NO_VALIDATION = data_hash((), ())  # the hash of a training without validation cases


def gate_doubts(dataset: Dataset, choice: GateChoice, trained_on: Mapping[str, LearnedFrom]) -> tuple[str, ...]:
    """Returns why the gate's cases may not be held out, one line each; none where no network has to do with them.

    Where every scan that a network learned from is recorded, the gate's are compared with them, wherever they come
    from. Else the hash over the training and validation cases of its data set decides: where these are still the same,
    the network has learned from no other; where they are not, nothing is known of the gate's cases. So it is with the
    validation cases, which chose the network's epoch, and to which its class offsets were fitted.

    Args:
        dataset: the data set.
        choice: its cases for the gate.
        trained_on: what a network is → what it learned from.

    Raises:
        InputError: a file cannot be read.
    """
    return tuple(_doubts(_Listed(dataset), choice, trained_on))


@dataclass(frozen=True)
class _Listed:
    """The cases that a data set lists for trainings; their files are read where a hash is asked for."""

    dataset: Dataset

    @cached_property
    def digests(self) -> dict[str, CaseDigest]:
        """Name of a training or validation case → hashes of its files."""
        cases = cases_of_trainings(self.dataset)
        return {case.name: found for case, found in zip(cases, digest_cases(cases, default_threads()), strict=True)}

    def is_trained(self, recorded: str) -> bool:
        """Whether these are the cases of a network with this hash of its training data, empty where not recorded."""
        return bool(recorded) and recorded == self._hash(cases_of_trainings(self.dataset))

    def is_validated(self, recorded: str) -> bool:
        """Whether the validation cases are those of a network with this hash of them, empty where not recorded."""
        return bool(recorded) and recorded == self._hash(self.dataset.validation)

    def images(self, cases: Sequence[Case]) -> frozenset[str]:
        """Returns SHA-256 of the scans of training or validation cases."""
        return frozenset(self.digests[case.name].image for case in cases)

    def _hash(self, cases: Sequence[Case]) -> str:
        return data_hash(cases, [self.digests[case.name] for case in cases])


def _doubts(listed: _Listed, choice: GateChoice, trained_on: Mapping[str, LearnedFrom]) -> Iterator[str]:
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
        yield from _doubts_by_lists(listed, choice, without_scans)
    for network, learned in trained_on.items():
        yield from _doubts_of_validation(listed, choice, network, learned)


def _doubts_by_lists(listed: _Listed, choice: GateChoice, hashes: Mapping[str, str]) -> Iterator[str]:
    """Returns the doubts about networks whose trainings did not record their scans.

    Args:
        listed: the cases of the data set.
        choice: its cases for the gate.
        hashes: what a network is → hash of its training data, empty where it is not recorded.
    """
    dataset, gate = listed.dataset, {image for image, _ in choice.cases}
    if gate & {case.image for case in dataset.unlabelled}:
        yield f"a gate case is in the list of scans without labels too, from which students may learn: {_NOT_KNOWN}"
    if any(hashes.values()):  # else there is nothing to compare with, and no file need be read
        others = [case for case in dataset.training if case.image not in gate]
        if listed.images(others) & choice.images:
            yield "a gate case is a copy of a training case: its Dice says nothing about new scans"
    for network, recorded in hashes.items():
        if not recorded:
            yield f"what {network} was trained on is not recorded: {_NOT_KNOWN}"
        elif not listed.is_trained(recorded):
            yield f"{network} was trained on other data, or on another selection of these: {_NOT_KNOWN}"


def _doubts_of_validation(listed: _Listed, choice: GateChoice, network: str, learned: LearnedFrom) -> Iterator[str]:
    """Returns why the gate's cases are, or may be, those that chose a network's epoch."""
    dataset, validated = listed.dataset, learned.validation_scans
    if validated is None and learned.validation_hash == _NO_VALIDATION:
        return
    if validated is None and listed.is_validated(learned.validation_hash):
        validated = listed.images(dataset.validation)
    if validated is not None:
        if chose := len(validated & choice.images):
            fitted = ", and its class offsets were fitted to them" if learned.class_offsets else ""
            yield (
                f"{chose} of the {len(choice.images)} scans of the gate are validation cases of {network}: they chose "
                f"its best epoch{fitted}, so that their Dice is too high for new scans, though fair between variants"
            )
    elif listed.is_trained(learned.data_hash):
        if listed.images(cases_of_trainings(dataset)) & choice.images:
            yield f"which of the data set's cases chose the best epoch of {network} is not recorded: {_NOT_KNOWN}"
    elif learned.scans:
        yield f"which scans chose the best epoch of {network} is not recorded: those of the gate may be among them"
