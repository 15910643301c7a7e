"""The user's data set: divided and checked before the demo removes or trains anything."""

from __future__ import annotations

from pathlib import Path

from ...distill.students.registry import check_patch
from ...runtime.engines import default_threads
from ...runtime.errors import InputError
from ...runtime.hooks import Progress
from ...runtime.task import Task
from ...runtime.task_presets import PRESETS, load_task
from ...training.data.case_check import ListedCase, check_cases, refuse_broken
from ...training.data.organ_masks import truth_files
from .divide import Division, divide
from .folder import check_outside
from .stages import STUDENT, TEACHER


def divided_data(
    data: Path, task_name: str, output: Path, labelled: int | None, seed: int, progress: Progress
) -> Division:
    """Divides the user's data set and checks all that the demo's commands will read, without writing anything.

    Every case is read and preprocessed as the trainings would, those that only the student or the scores need too.

    Args:
        data: data set in any layout of `load_dataset`.
        task_name: preset or TOML file of its task.
        output: the demo's folder.
        labelled: labelled cases of the student; None: a fifth.
        seed: seed of the division.
        progress: called with (cases checked, cases in total).

    Raises:
        InputError: the data set, the task or a case cannot be used, or no test case shows an organ.
        UsageError: there is no such task, teacher or student refuses its patch, the data set has too few labelled
            cases, or a file of task or data set lies in the demo's folder.
        ResourceError: memory does not suffice for a case.
    """
    task = load_task(task_name)
    check_outside(output, [data, *([] if task_name in PRESETS else [Path(task_name)])])
    for network in (TEACHER, STUDENT):
        check_patch(network, task.patch.dhw)
    division = divide(data, task, labelled, seed)
    cases = (*division.labelled, *division.unlabelled)
    check_outside(output, (file for case in cases for file in (case.image, *truth_files(case.label))))
    _check_cases(division, task, progress)
    return division


def _check_cases(division: Division, task: Task, progress: Progress) -> None:
    labelled, images = division.labelled, {case.image for case in division.labelled}
    others = [case for case in division.unlabelled if case.image not in images]
    listed = [ListedCase(case, ("training",), ()) for case in labelled]
    listed += [ListedCase(case, ("test",), ()) for case in others]  # which need no label map
    found = check_cases(listed, division.data.labels, task, workers=default_threads(), progress=progress)
    checked = [case for case, _ in found]
    refuse_broken(checked)
    test = {case.name for case in division.data.test}
    facts = [case.facts for case in checked[: len(labelled)] if case.name in test]
    if not any(each is not None and each.volumes_ml for each in facts):
        raise InputError(
            f'data set "{division.data.name}": expected an organ in at least one of the {len(facts)} test cases, their '
            "label maps are empty; list scans with organs under test"
        )
