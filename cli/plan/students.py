"""Students before any training: what each would cost, counted in the ONNX of fresh weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...devices.planner.costs import model_cost
from ...devices.planner.planned_model import PlannedModel, PlannedVariant
from ...distill import STUDENTS, build_student
from ...export.gate.overlap import DEFAULT_OVERLAP
from ...export.onnx_export import student_to_onnx
from ...runtime.engines import ENGINES, Precision
from ...runtime.errors import BundleError, MissingExtraError, UsageError
from ...runtime.task import Task
from ..terminal.console import Advance

ALL = "all"
_REMARK = "not trained, accuracy unknown; int8 is assumed of every convolution and matrix product"
_BYTES = {"int8": 1, "fp16": 2}  # of a weight in the file; 4 in the others


def planned_students(names: Sequence[str], tasks: Sequence[Task], advance: Advance) -> list[PlannedModel]:
    """Exports students with fresh weights and counts their costs.

    Args:
        names: names of students; ``"all"`` stands for every one.
        tasks: the task with each of the windows to plan; a student that does not accept a window gets the smallest
            larger one.
        advance: called with (done, total, name).

    Returns:
        The students; one that cannot be exported or counted has the reason in place of its variants.

    Raises:
        UsageError: no student has this name.
        MissingExtraError: a package of the extras ``train`` or ``export`` is not installed.
    """
    chosen = list(dict.fromkeys(name for given in names for name in (STUDENTS if given == ALL else [given])))
    windows = dict.fromkeys(
        (name, STUDENTS.find(name).patch_rule.covering(task.patch.dhw)) for name in chosen for task in tasks
    )
    planned: list[PlannedModel] = []
    for done, (name, patch) in enumerate(windows):
        advance(done, len(windows), name)
        shown = name if len(tasks) == 1 else f"{name} {'×'.join(map(str, patch.xyz))}"
        planned.append(_planned(name, shown, tasks[0].replaced(patch=patch.xyz)))
    advance(len(windows), len(windows))
    return planned


def _planned(name: str, shown: str, task: Task) -> PlannedModel:
    try:
        model = student_to_onnx(build_student(name, num_classes=task.num_classes), task.patch.dhw)
        exact = model_cost(model.SerializeToString())
    except MissingExtraError:
        raise
    except (UsageError, BundleError) as error:  # of one student, perhaps another package's
        return PlannedModel(shown, task, DEFAULT_OVERLAP, dict.fromkeys(_runnable(), str(error)))
    quantized = exact.quantized()
    variants: dict[tuple[str, Precision], PlannedVariant | str] = {
        (engine, precision): PlannedVariant(
            quantized if precision.startswith("int8") else exact, exact.parameters * _bytes_per_weight(precision)
        )
        for engine, precision in _runnable()
    }
    return PlannedModel(shown, task, DEFAULT_OVERLAP, variants, remark=_REMARK)


def _bytes_per_weight(precision: Precision) -> int:
    return _BYTES.get(precision.partition("-")[0], 4)


def _runnable() -> Iterator[tuple[str, Precision]]:
    for engine in ENGINES:
        for precision in ENGINES[engine].precisions:
            yield engine, precision
