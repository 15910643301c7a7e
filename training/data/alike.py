"""Finds scans and label maps that a data set holds more than once, by the bytes of their files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...runtime.errors import InputError
from ...runtime.scans.names import joined_names
from .case_check import CheckedCase, ListedCase
from .case_digest import CaseDigest, possible_copies
from .dataset import Case

_SHOWN = 3  # duplicates of a case named in one warning; the rest are counted
_UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Alike:
    """What a data set holds more than once.

    Attributes:
        cases: case name → warnings: a scan with two names or in two lists, or a label map shared by two scans.
        unlabelled: warnings about the scans without labels.
    """

    cases: Mapping[str, Sequence[str]]
    unlabelled: tuple[str, ...] = ()


def find_alike(
    listed: Sequence[ListedCase],
    checked: Sequence[tuple[CheckedCase, CaseDigest | None]],
    unlabelled: Sequence[Case],
) -> Alike:
    """Compares the cases of a data set with each other, and with its scans without labels.

    Args:
        listed: the cases of its lists with labels, and of the test list.
        checked: the outcome of `check_cases` for them.
        unlabelled: scans without labels, whose files exist.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    images: defaultdict[str, list[CheckedCase]] = defaultdict(list)
    truths: defaultdict[str, list[CheckedCase]] = defaultdict(list)
    listed_images, without_labels = {each.case.image for each in listed}, {case.image for case in unlabelled}
    for each, (case, digest) in zip(listed, checked, strict=True):
        lists = (*case.lists, _UNLABELLED) if each.case.image in without_labels else case.lists
        if len(lists) > 1:
            found[case.name].append(f"is in the lists {' and '.join(lists)}")
        if digest is not None:
            images[digest.image].append(case)
            if digest.label and case.facts is not None and case.facts.volumes_ml:
                truths[digest.label].append(case)
    known = {each.case.image: digest.image for each, (_, digest) in zip(listed, checked, strict=True) if digest}
    warnings: list[str] = []
    try:
        hashes = possible_copies((case.image for case in unlabelled), known)
    except InputError as error:
        warnings.append(f"unlabelled {error}")
        hashes = {}
    for case in unlabelled:
        if case.image in hashes and case.image not in listed_images:
            images[hashes[case.image]].append(CheckedCase(name=case.name, lists=(_UNLABELLED,)))
    copies: list[str] = []
    for kind, groups in (("image", images), ("label map", truths)):
        for group in (group for group in groups.values() if len(group) > 1):
            for case in (case for case in group if _UNLABELLED not in case.lists):
                others = [f'"{other.name}" ({other.lists[0]})' for other in group if other is not case]
                found[case.name].append(f"its {kind} is identical to that of {joined_names(others, _SHOWN)}")
            copies += [case.name for case in group if _UNLABELLED in case.lists][1:]
    if copies:
        warnings.append(f"unlabelled scans are copies of others among them: {joined_names(copies, _SHOWN)}")
    return Alike(found, tuple(warnings))
