"""Prepares the cases of a data set: checks labels against the task and preprocesses cases in parallel, each once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.callbacks import Progress
from ...runtime.errors import InputError
from ...runtime.task import Task
from .bounded_pool import bounded_pool
from .case_cache import CaseCache, case_key
from .case_digest import CaseDigest, digest_cases
from .dataset import Case, Dataset
from .examine import memory_needed
from .formats.modality import modality_of
from .ignore_label import NAME as IGNORE
from .prepared_case import PreparedCase

_log = logging.getLogger("bedside.training")
_BUSY_SECONDS = 0.2  # between two checks of cases that another process prepares


def check_labels(dataset: Dataset, task: Task) -> None:
    """Checks that data set and task give every label index the same name.

    Raises:
        InputError: the names differ; the message gives the first difference.
    """
    if dataset.labels == task.labels:
        return
    for index in range(max(len(dataset.labels), len(task.labels))):
        ours = task.labels[index] if index < len(task.labels) else "nothing"
        theirs = dataset.labels[index] if index < len(dataset.labels) else "nothing"
        if ours != theirs:
            if ours.lower() == IGNORE and dataset.ignore == index:
                raise InputError(
                    f'label {index} is the ignore label of data set "{dataset.name}" and no class; '
                    f'take "{ours}" off the labels of task "{task.name}"'
                )
            raise InputError(
                f'label {index} is "{theirs}" in data set "{dataset.name}" but "{ours}" in task "{task.name}"; '
                "choose the task that fits, or write one with the data set's labels"
            )


def other_modality(dataset: Dataset, task: Task) -> str | None:
    """Returns a warning if the data set names another modality than the task's, else None.

    Names that mean neither CT nor MR give no warning.
    """
    meant = modality_of(dataset.modality)
    if meant is None or meant is task.modality:
        return None
    word = ", ".join(dataset.modality)
    return (
        f'the list calls its images "{word}", and task "{task.name}" is for {task.modality.value}; '
        f"take a task for {meant.value}, or correct the list"
    )


@dataclass(frozen=True)
class _Wanted:
    """A case to obtain, with its index in the list."""

    place: int
    case: Case
    digest: CaseDigest

    def obtain(self, cache: CaseCache, task: Task) -> PreparedCase | InputError | None:
        """Returns the prepared case, or an error if it cannot be used; None while another process prepares it."""
        try:
            return cache.obtain(self.case, self.digest, task)
        except InputError as error:
            return error

    def memory(self, cache: CaseCache, task: Task) -> int:
        """Estimates the bytes that `obtain` needs."""
        there = (cache.folder / case_key(self.digest, task)).is_dir()
        return 0 if there else memory_needed(self.case, task)


def prepare_cases(
    cases: Sequence[Case],
    task: Task,
    folder: Path,
    progress: Progress | None = None,
    *,
    workers: int = 1,
    digests: Sequence[CaseDigest] | None = None,
) -> list[PreparedCase]:
    """Preprocesses cases into a folder that runs share, or finds them there (see `CaseCache`).

    Several processes may do this at once: each prepares cases that no other is preparing, then waits for the others.

    Args:
        cases: labelled cases.
        task: grid and intensities.
        folder: folder of prepared cases; created if needed.
        progress: called with (cases done, cases in total).
        workers: maximum number of cases prepared in parallel, limited by free memory.
        digests: digests of the cases, in their order; None computes them.

    Raises:
        InputError: at least one case cannot be used; the message names each with its reasons.
        UsageError: the folder holds other files.
        ResourceError: the folder cannot be written.
    """
    if progress:
        progress(0, len(cases))
    cache = CaseCache(folder)
    digests = digests if digests is not None else digest_cases(cases, workers)
    wanted = [_Wanted(place, *pair) for place, pair in enumerate(zip(cases, digests, strict=True))]
    prepared: dict[int, PreparedCase] = {}
    broken: dict[int, str] = {}

    while wanted:
        busy: list[_Wanted] = []
        for each, outcome in bounded_pool(
            lambda each: each.obtain(cache, task), wanted, workers, lambda each: each.memory(cache, task)
        ):
            if outcome is None:
                busy.append(each)
                continue
            if isinstance(outcome, InputError):
                broken[each.place] = str(outcome)
            else:
                prepared[each.place] = outcome
            if progress:
                progress(len(prepared) + len(broken), len(cases))
        if len(busy) == len(wanted):
            time.sleep(_BUSY_SECONDS)
        wanted = busy
    if broken:
        told = "; ".join(broken[place] for place in sorted(broken))
        raise InputError(f"{len(broken)} of {len(cases)} cases cannot be used: {told}")
    return [prepared[place] for place in range(len(cases))]
