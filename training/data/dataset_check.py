"""Checks a whole data set before training: every case, even if others are broken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from ...runtime.errors import ExitCode, InputError
from ...runtime.hooks import Progress
from ...runtime.labels.sides import find_sides
from ...runtime.task import Task
from .alike import find_alike
from .case_check import CheckedCase, ListedCase, check_cases
from .dataset import Case, DatasetListing, list_dataset
from .missing_labels import missing_in_training_warning, missing_in_validation_warning, missing_labels
from .nnunet_splits import unused_splits
from .prepare import check_labels, modality_warning


class LabelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Frequency and volumes of a label.

    Attributes:
        name: name of the label.
        cases: number of readable cases that contain it.
        mean_ml: mean volume in these cases, in ml; None without such cases.
        smallest_ml: smallest volume, in ml; None likewise.
        largest_ml: largest volume, in ml; None likewise.
    """

    name: str
    cases: int
    mean_ml: float | None = None
    smallest_ml: float | None = None
    largest_ml: float | None = None


class IgnoreSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Frequency of the ignore label, whose voxels loss and scores leave out.

    Attributes:
        value: value in the label maps.
        cases: number of readable cases that contain it.
        share: mean share of ignored voxels, 0…1, over all readable cases.
    """

    value: int
    cases: int
    share: float


class DatasetCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of checking a data set.

    Attributes:
        name: name of the data set.
        layout: name of the layout that was recognised.
        task: name of the task it was checked for; None without a task.
        problems: errors of the data set as a whole.
        warnings: unusual findings about the data set as a whole, for a person to review.
        notes: remarks that need no action, such as how the list was interpreted.
        unlabelled: number of scans that the list marks as unlabelled, without training cases and each once.
        labels: one summary per label, without the background.
        cases: outcome per case, in the order of the lists.
        pairs: (left, right) names of labels that differ only by the side; with such pairs training does not mirror left
            and right.
        ignore: summary of the ignore label; None if the data set has none.
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
        """Code of the worst finding: 5 too little memory for a case, 3 an error, 6 only warnings, 0 no findings."""
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
    progress: Progress | None = None,
) -> DatasetCheck:
    """Checks every case as `prepare_cases` would, and compares the cases with each other.

    Args:
        path: as in `load_dataset`.
        task: task to check against; None checks only files, geometry, values and labels.
        fold: fold that defines training and validation cases; None uses the lists unchanged.
        workers: maximum number of cases read in parallel, limited by free memory.
        progress: called with (cases done, cases in total).

    Raises:
        InputError: the list or the splits file of the fold cannot be read.
        UsageError: the fold does not exist.
    """
    listing = list_dataset(path, labels=task.labels if task else None)
    if fold is not None:
        listing = replace(listing, dataset=listing.dataset.split(fold=fold))
    dataset = listing.dataset
    listed = _listed(listing)
    checked = check_cases(listed, dataset.labels, task, workers=workers, progress=progress)
    cases = [case for case, _ in checked]
    there = [case for case in dataset.unlabelled if case.image.is_file()]
    alike = find_alike(listed, checked, there)
    cases = [_with_warnings(case, alike.cases.get(case.name, ())) for case in cases]
    problems: list[str] = []
    if task is not None:
        try:
            check_labels(dataset, task)
        except InputError as error:
            problems.append(str(error))
    labels = tuple(_summary(name, label, cases) for label, name in enumerate(dataset.labels) if label)
    notes = list(listing.notes)
    warnings = [*dataset.warnings, *([] if dataset.training else ["no training case is listed"])]
    if task is not None and (other := modality_warning(dataset, task)):
        warnings.append(other)
    if fold is None and (unused := unused_splits(dataset)):
        notes.append(unused)
    if reoriented := sum(case.facts is not None and case.facts.reoriented for case in cases):
        notes.append(
            f"{reoriented} of {len(cases)} label maps are stored along other axes than their images: taken in place"
        )
    warnings += alike.unlabelled
    gone = len(dataset.unlabelled) - len(there)
    if gone:
        warnings.append(f"{gone} of {len(dataset.unlabelled)} unlabelled scans do not exist")
    missing = [label.name for label in labels if not label.cases] if _volumes(cases) else []
    if missing:
        warnings.append(f"in no readable case: {', '.join(missing)}")
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
    """Returns warnings about labels missing in training or validation, except those missing in all cases."""
    found: list[str] = []
    for name, warning in (("training", missing_in_training_warning), ("validation", missing_in_validation_warning)):
        volumes = _volumes(case for case in cases if name in case.lists)
        unseen = missing_labels(volumes, labels)
        nothing = len(unseen) == len(labels) - 1
        text = warning(unseen if nothing else [label for label in unseen if label not in missing], labels)
        if volumes and text:
            found.append(text)
    return found


def _volumes(cases: Iterable[CheckedCase]) -> list[dict[int, float]]:
    """Returns the volumes of the labels of each case whose label map can be used."""
    return [case.facts.volumes_ml for case in cases if case.facts and case.facts.volumes_ml is not None]


def _ignore_summary(value: int | None, cases: list[CheckedCase]) -> IgnoreSummary | None:
    if value is None:
        return None
    shares = [case.facts.ignored for case in cases if case.facts is not None]
    return IgnoreSummary(
        value=value, cases=sum(share > 0 for share in shares), share=float(np.mean(shares)) if shares else 0.0
    )


def _listed(listing: DatasetListing) -> list[ListedCase]:
    """Returns every case once, with the lists that contain it and the errors of its entries."""
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
    return [ListedCase(case, tuple(lists[name]), tuple(broken[name])) for name, case in cases.items()]


def _with_warnings(case: CheckedCase, more: Sequence[str]) -> CheckedCase:
    if not more:
        return case
    code = case.exit_code or ExitCode.REVIEW
    return msgspec.structs.replace(case, warnings=(*case.warnings, *more), exit_code=code)


def _summary(name: str, label: int, cases: list[CheckedCase]) -> LabelSummary:
    volumes = [volumes[label] for volumes in _volumes(cases) if label in volumes]
    if not volumes:
        return LabelSummary(name=name, cases=0)
    return LabelSummary(
        name=name,
        cases=len(volumes),
        mean_ml=float(np.mean(volumes)),
        smallest_ml=min(volumes),
        largest_ml=max(volumes),
    )
