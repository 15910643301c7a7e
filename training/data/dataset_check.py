"""Checking a whole data set before training: every case, whatever is wrong with the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from ...runtime.errors import ExitCode, InputError
from ...runtime.labels.sides import find_sides
from ...runtime.task import Task
from .bounded_pool import bounded_pool
from .case_check import CheckedCase, Listed, check_case
from .case_digest import CaseDigest
from .dataset import Case, DatasetListing, list_dataset
from .examine import memory_needed
from .labels_seen import training_warning, unseen_labels, validation_warning
from .prepare import check_labels, other_modality
from .splits import unused_splits

_SHOWN = 3  # cases named beside one that they are like; the rest are counted


class LabelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How often a label occurs.

    Attributes:
        name: of the label.
        cases: readable cases in which it occurs.
        mean_ml: its mean volume in those, in millilitres; None if there are none.
        smallest_ml: the smallest.
        largest_ml: the largest.
    """

    name: str
    cases: int
    mean_ml: float | None = None
    smallest_ml: float | None = None
    largest_ml: float | None = None


class IgnoreSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The ignore label, whose voxels take no part in loss and scores.

    Attributes:
        value: in the label maps.
        cases: readable cases in which it occurs.
        share: mean share of the voxels, 0…1, over all readable cases.
    """

    value: int
    cases: int
    share: float


class DatasetCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a data set.

    Attributes:
        name: of the data set.
        layout: in which it was found to be stored.
        task: name of the task it was checked for, if any.
        problems: what is wrong with the data set as a whole.
        warnings: what deserves a look in it as a whole.
        notes: how its list was understood, and what else is there; nothing to mend.
        unlabelled: number of scans that its list keeps apart as not labelled.
        labels: label by label, background left out.
        cases: every case, in the order of the lists.
        pairs: (left, right) names of labels that differ by the side alone: left and right are not mirrored in training.
        ignore: what is ignored; None where the data set has no such label.
    """

    name: str
    layout: str
    task: str | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    unlabelled: int
    labels: tuple[LabelSummary, ...]
    cases: tuple[CheckedCase, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    ignore: IgnoreSummary | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The worst found: 5 memory did not suffice for a case, 3 something is broken, 6 warnings only, 0 all well."""
        codes = {case.exit_code for case in self.cases}
        codes |= {ExitCode.INPUT} if self.problems else set()
        codes |= {ExitCode.REVIEW} if self.warnings else set()
        worst_first = (ExitCode.RESOURCE, ExitCode.INPUT, ExitCode.REVIEW)
        return next((code for code in worst_first if code in codes), ExitCode.OK)


def check_dataset(
    path: Path,
    task: Task | None,
    *,
    fold: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetCheck:
    """Checks every case as preparation would, and what only shows when cases are compared.

    Args:
        path: as in `load_dataset`.
        task: what it is to be used for; None checks files, geometry, values and labels alone.
        fold: training and validation cases are taken as those of this fold; None takes the lists as they are.
        workers: cases read at the same time, as far as memory allows.
        progress: called with (done, total).

    Raises:
        InputError: the list itself cannot be read, or the splits file that the fold is taken from.
        UsageError: there is no such fold.
    """
    listing = list_dataset(path, labels=task.labels if task else None)
    if fold is not None:
        listing = replace(listing, dataset=listing.dataset.split(fold=fold))
    dataset = listing.dataset
    listed = _listed(listing)
    if progress:
        progress(0, len(listed))
    checked: dict[str, CheckedCase] = {}
    digests: dict[str, CaseDigest] = {}
    for each, (outcome, digest) in bounded_pool(
        lambda each: check_case(each, dataset.labels, task),
        listed,
        workers,
        lambda each: 0 if each.broken else memory_needed(each.case, task),
    ):
        checked[each.case.name] = outcome
        if digest is not None:
            digests[each.case.name] = digest
        if progress:
            progress(len(checked), len(listed))
    cases = [checked[each.case.name] for each in listed]
    alike = _alike(cases, digests)
    cases = [_with_warnings(case, alike[case.name]) for case in cases]
    problems: list[str] = []
    if task is not None:
        try:
            check_labels(dataset, task)
        except InputError as error:
            problems.append(str(error))
    labels = tuple(_summary(name, label, cases) for label, name in enumerate(dataset.labels) if label)
    notes = list(listing.notes)
    warnings = [*dataset.warnings, *([] if dataset.training else ["no training case is listed"])]
    if task is not None and (other := other_modality(dataset, task)):
        warnings.append(other)
    if fold is None and (unused := unused_splits(dataset)):
        notes.append(unused)
    gone = sum(not case.image.is_file() for case in dataset.unlabelled)
    if gone:
        warnings.append(f"{gone} of {len(dataset.unlabelled)} unlabelled scans do not exist")
    missing = [label.name for label in labels if not label.cases]
    if missing:
        warnings.append(f"in no case that can be read: {', '.join(missing)}")
    warnings += _list_warnings(cases, dataset.labels, missing)
    return DatasetCheck(
        name=dataset.name,
        layout=listing.layout,
        task=task.name if task else None,
        problems=tuple(problems),
        warnings=tuple(warnings),
        notes=tuple(notes),
        unlabelled=len(dataset.unlabelled),
        labels=labels,
        cases=tuple(cases),
        pairs=find_sides(dataset.labels).pairs,
        ignore=_ignore_summary(dataset.ignore, cases),
    )


def _list_warnings(cases: list[CheckedCase], labels: tuple[str, ...], missing: list[str]) -> list[str]:
    """Returns what training and validation lack, beyond the labels that are missing everywhere."""
    found: list[str] = []
    for name, warning in (("training", training_warning), ("validation", validation_warning)):
        facts = [case.facts for case in cases if name in case.lists and case.facts is not None]
        unseen = unseen_labels((each.volumes_ml for each in facts), labels)
        nothing = len(unseen) == len(labels) - 1
        words = warning(unseen if nothing else [label for label in unseen if label not in missing], labels)
        if facts and words:
            found.append(words)
    return found


def _ignore_summary(value: int | None, cases: list[CheckedCase]) -> IgnoreSummary | None:
    if value is None:
        return None
    shares = [case.facts.ignored for case in cases if case.facts is not None]
    return IgnoreSummary(
        value=value, cases=sum(share > 0 for share in shares), share=float(np.mean(shares)) if shares else 0.0
    )


def _listed(listing: DatasetListing) -> list[Listed]:
    """Returns every case once, with the lists it stands in and what is wrong with its entry."""
    cases: dict[str, Case] = {}
    lists: defaultdict[str, list[str]] = defaultdict(list)
    broken: defaultdict[str, list[str]] = defaultdict(list)
    dataset = listing.dataset
    for name, entries in (("training", dataset.training), ("validation", dataset.validation), ("test", dataset.test)):
        for case in entries:
            known = cases.setdefault(case.name, case)
            if known.label is None and case.label is not None:
                cases[case.name] = case
            if name not in lists[case.name]:
                lists[case.name].append(name)
    for each in listing.broken:
        broken[each.name].append(each.reason)
    return [Listed(case, tuple(lists[name]), tuple(broken[name])) for name, case in cases.items()]


def _alike(cases: list[CheckedCase], digests: dict[str, CaseDigest]) -> defaultdict[str, list[str]]:
    """Returns warnings by case: the same scan under two names or in two lists, the same label map for two scans."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    images: defaultdict[str, list[CheckedCase]] = defaultdict(list)
    truths: defaultdict[str, list[CheckedCase]] = defaultdict(list)
    for case in cases:
        if len(case.lists) > 1:
            found[case.name].append(f"stands in the lists {' and '.join(case.lists)}")
        if case.name in digests:
            images[digests[case.name].image].append(case)
            if digests[case.name].label and case.facts is not None and case.facts.volumes_ml:
                truths[digests[case.name].label].append(case)
    for kind, groups in (("image", images), ("label map", truths)):
        for group in (group for group in groups.values() if len(group) > 1):
            for case in group:
                others = [f'"{other.name}" ({other.lists[0]})' for other in group if other is not case]
                rest = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
                found[case.name].append(f"its {kind} is byte by byte that of {', '.join(others[:_SHOWN])}{rest}")
    return found


def _with_warnings(case: CheckedCase, more: list[str]) -> CheckedCase:
    if not more:
        return case
    code = case.exit_code or ExitCode.REVIEW
    return msgspec.structs.replace(case, warnings=(*case.warnings, *more), exit_code=code)


def _summary(name: str, label: int, cases: list[CheckedCase]) -> LabelSummary:
    volumes = [case.facts.volumes_ml[label] for case in cases if case.facts and label in case.facts.volumes_ml]
    if not volumes:
        return LabelSummary(name=name, cases=0)
    return LabelSummary(
        name=name,
        cases=len(volumes),
        mean_ml=float(np.mean(volumes)),
        smallest_ml=min(volumes),
        largest_ml=max(volumes),
    )
