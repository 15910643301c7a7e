"""Prepares the cases of a data set: checks labels against the task and preprocesses cases in parallel, each once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.hooks import Progress
from ...runtime.task import Task
from .bounded_pool import bounded_pool
from .case_cache import CaseCache, case_key
from .case_digest import CaseDigest, digest_cases
from .dataset import Case, Dataset
from .formats.modality import modality_of
from .ignore_label import NAME as IGNORE
from .load_case import memory_needed
from .prepared_case import PreparedCase

_log = logging.getLogger("bedside.training")
_RETRY_SECONDS = 0.2  # between two checks of cases that another process prepares


def check_labels(dataset: Dataset, task: Task) -> None:
    """Checks that data set and task give every label index the same name.

    Raises:
        InputError: the names differ; the message gives the first difference.
    """
    advice = "choose the task that fits, or write one with the data set's labels"
    check_label_names(dataset, task.labels, f'task "{task.name}"', advice)


def check_label_names(dataset: Dataset, labels: Sequence[str], source: str, advice: str) -> None:
    """Checks that a data set gives every label index the name that it has elsewhere.

    Args:
        dataset: the data set.
        labels: index → name, background first.
        source: where those names come from, for the message.
        advice: what to do where they differ, for the message.

    Raises:
        InputError: the names differ; the message gives the first difference.
    """
    for index, (listed, given) in enumerate(zip_longest(dataset.labels, labels, fillvalue="nothing")):
        if given == listed:
            continue
        if given.lower() == IGNORE and dataset.ignore == index:
            raise InputError(
                f'label {index} is the ignore label of data set "{dataset.name}" and no class; '
                f'remove "{given}" from the labels of {source}'
            )
        raise InputError(
            f'label {index} is "{listed}" in data set "{dataset.name}" but "{given}" in {source}; {advice}'
        )


def modality_warning(dataset: Dataset, task: Task) -> str | None:
    """Returns a warning if the data set names another modality than the task's, else None.

    Names that mean neither CT nor MR give no warning.
    """
    listed = modality_of(dataset.modality)
    if listed is None or listed is task.modality:
        return None
    word = ", ".join(dataset.modality)
    return (
        f'the list calls its images "{word}", and task "{task.name}" is for {task.modality.value}; '
        f"choose a task for {listed.value}, or correct the list"
    )


def list_warnings(dataset: Dataset, task: Task) -> tuple[str, ...]:
    """Returns the warnings about a data set's list, the one about its modality too.

    Raises:
        InputError: data set and task give a label index different names.
    """
    check_labels(dataset, task)
    modality = modality_warning(dataset, task)
    return dataset.warnings if modality is None else (*dataset.warnings, modality)


def unusual_warning(scans: Iterable[Sequence[str]], what: str) -> str | None:
    """Returns one warning for all unusual scans, without their names; None if there is none.

    Args:
        scans: per scan, the warnings about it.
        what: what the scans are, in the plural.
    """
    scans = list(scans)
    unusual = [warnings for warnings in scans if warnings]
    if not unusual:
        return None
    return f"{len(unusual)} of {len(scans)} {what} are unusual, such as: {unusual[0][0]}"


@dataclass(frozen=True)
class _PendingCase:
    """A case to obtain, with its index in the list."""

    index: int
    case: Case
    digest: CaseDigest

    def obtain(self, cache: CaseCache, task: Task, needs_label: bool) -> PreparedCase | InputError | None:
        """Returns the prepared case, or an error if it cannot be used; None while another process prepares it."""
        try:
            return cache.obtain(self.case, self.digest, task, needs_label=needs_label)
        except InputError as error:
            return error

    def memory(self, cache: CaseCache, task: Task) -> int:
        """Estimates the bytes that `obtain` needs."""
        is_prepared = (cache.folder / case_key(self.digest, task)).is_dir()
        return 0 if is_prepared else memory_needed(self.case, task)


def prepare_cases(
    cases: Sequence[Case],
    task: Task,
    folder: Path,
    progress: Progress | None = None,
    *,
    workers: int = 1,
    digests: Sequence[CaseDigest] | None = None,
    needs_labels: bool = True,
) -> list[PreparedCase]:
    """Preprocesses cases into a folder that runs share, or finds them there (see `CaseCache`).

    Several processes may do this at once: each prepares cases that no other is preparing, then waits for the others.

    Args:
        cases: the cases.
        task: grid and intensities.
        folder: folder of prepared cases; created if needed.
        progress: called with (cases done, cases in total).
        workers: maximum number of cases prepared in parallel, limited by free memory.
        digests: digests of the cases, in their order; None computes them.
        needs_labels: whether a case without a label map is refused.

    Raises:
        InputError: at least one case cannot be used; the message names each with its reasons.
        UsageError: the folder holds other files.
        ResourceError: the folder cannot be written.
    """
    if progress:
        progress(0, len(cases))
    cache = CaseCache(folder)
    digests = digests if digests is not None else digest_cases(cases, workers)
    pending = [_PendingCase(index, *pair) for index, pair in enumerate(zip(cases, digests, strict=True))]
    prepared: dict[int, PreparedCase] = {}
    broken: dict[int, str] = {}

    while pending:
        busy: list[_PendingCase] = []
        for each, outcome in bounded_pool(
            lambda each: each.obtain(cache, task, needs_labels), pending, workers, lambda each: each.memory(cache, task)
        ):
            if outcome is None:
                busy.append(each)
                continue
            if isinstance(outcome, InputError):
                broken[each.index] = str(outcome)
            else:
                prepared[each.index] = outcome
            if progress:
                progress(len(prepared) + len(broken), len(cases))
        if len(busy) == len(pending):
            time.sleep(_RETRY_SECONDS)
        pending = busy
    if broken:
        reasons = "; ".join(broken[index] for index in sorted(broken))
        raise InputError(f"{len(broken)} of {len(cases)} cases cannot be used: {reasons}")
    return [prepared[index] for index in range(len(cases))]
