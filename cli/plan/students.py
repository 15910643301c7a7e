"""Students before any training: what each would cost, counted in the ONNX of fresh weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...devices.planner.costs import model_cost
from ...devices.planner.planned_model import PlannedModel, PlannedVariant
from ...devices.planner.roofline import quantized_format
from ...distill import STUDENTS, build_student
from ...distill.students.measured import StudentComparison, comparison_for, measured_students
from ...export.gate.overlap import DEFAULT_OVERLAP
from ...export.onnx_graphs.onnx_export import student_to_onnx
from ...runtime.engines import Precision, engine_entries
from ...runtime.errors import BundleError, MissingExtraError, UsageError
from ...runtime.task import Task
from ..terminal.console import Advance

ALL = "all"
_INT8 = "int8 is assumed of every convolution and matrix product"
_BYTES = {"int8": 1, "uint8": 1, "fp16": 2}  # of a weight in the file; 4 in the others


def planned_students(names: Sequence[str], tasks: Sequence[Task], advance: Advance) -> list[PlannedModel]:
    """Exports students with fresh weights and counts their costs; their Dice is that of a comparison, where measured.

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
    every = [name for name, _ in STUDENTS.working()] if ALL in names else []
    chosen = list(dict.fromkeys(name for given in names for name in (every if given == ALL else [given])))
    windows = dict.fromkeys(
        (name, STUDENTS.find(name).patch_rule.covering(task.patch.dhw)) for name in chosen for task in tasks
    )
    measured = comparison_for(tasks[0], measured_students())
    planned: list[PlannedModel] = []
    for done, (name, patch) in enumerate(windows):
        advance(done, len(windows), name)
        shown = name if len(tasks) == 1 else f"{name} {'×'.join(map(str, patch.xyz))}"
        planned.append(_planned(name, shown, tasks[0].replaced(patch=patch.xyz), measured))
    advance(len(windows), len(windows))
    return planned


def _planned(name: str, shown: str, task: Task, measured: StudentComparison | None) -> PlannedModel:
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
            quantized if quantized_format(precision) else exact,
            exact.parameters * _bytes_per_weight(precision),
            _dice(name, precision, measured),
        )
        for engine, precision in _runnable()
    }
    data, remark = ("", "") if measured is None else (measured.data, _remark(name, task, measured))
    said = f"{remark or 'not trained, accuracy unknown'}; {_INT8}"
    return PlannedModel(shown, task, DEFAULT_OVERLAP, variants, dice_of=data, remark=said)


def _dice(name: str, precision: Precision, measured: StudentComparison | None) -> float | None:
    found = None if measured is None else measured.of(name, precision)
    return None if found is None else found.mean


def _remark(name: str, task: Task, measured: StudentComparison) -> str:
    """Returns where the Dice of a student comes from; empty where it has none."""
    if name not in measured.dice:
        return ""
    said = f"not trained; Dice: {measured}"
    return said if measured.data == task.name else f"{said}; another task than {task.name}, so it only ranks students"


def _bytes_per_weight(precision: Precision) -> int:
    return _BYTES.get(precision.partition("-")[0], 4)


def _runnable() -> Iterator[tuple[str, Precision]]:
    for engine, entry in engine_entries():
        for precision in entry.precisions:
            yield engine, precision
