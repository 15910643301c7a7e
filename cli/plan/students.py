"""Students before any training: what each would cost, counted in the ONNX of fresh weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...devices.planner.costs import model_cost
from ...devices.planner.planned_model import PlannedModel, PlannedVariant
from ...distill import STUDENTS, build_student
from ...export.gate.overlap import DEFAULT_OVERLAP
from ...export.onnx_export import student_to_onnx
from ...runtime.engines import ENGINES, Precision
from ...runtime.task import Task
from ..terminal.console import Advance

ALL = "all"
_REMARK = "not trained, accuracy unknown; int8 is assumed of every convolution and matrix product"
_BYTES = {"int8": 1, "fp16": 2}  # of a weight in the file; 4 in the others


def planned_students(names: Sequence[str], task: Task, advance: Advance) -> list[PlannedModel]:
    """Exports students with fresh weights and counts their costs.

    Args:
        names: names of students; ``"all"`` stands for every one.
        task: the task; a student that does not accept its window gets the smallest larger one.
        advance: called with (done, total, name).

    Raises:
        UsageError: no student has this name, or torch cannot export it.
        MissingExtraError: a package of the extras ``train`` or ``export`` is not installed.
    """
    chosen = list(dict.fromkeys(name for given in names for name in (STUDENTS if given == ALL else [given])))
    for name in chosen:
        STUDENTS.find(name)
    planned: list[PlannedModel] = []
    for done, name in enumerate(chosen):
        advance(done, len(chosen), name)
        planned.append(_planned(name, task))
    advance(len(chosen), len(chosen))
    return planned


def _planned(name: str, task: Task) -> PlannedModel:
    patch = STUDENTS.find(name).patch_rule.covering(task.patch.dhw)
    model = student_to_onnx(build_student(name, num_classes=task.num_classes), patch)
    exact = model_cost(model.SerializeToString())
    quantized = exact.quantized()
    variants: dict[tuple[str, Precision], PlannedVariant | str] = {
        (engine, precision): PlannedVariant(
            quantized if precision.startswith("int8") else exact, exact.parameters * _bytes_per_weight(precision)
        )
        for engine, precision in _runnable()
    }
    return PlannedModel(name, task.replaced(patch=patch.xyz), DEFAULT_OVERLAP, variants, remark=_REMARK)


def _bytes_per_weight(precision: Precision) -> int:
    return _BYTES.get(precision.partition("-")[0], 4)


def _runnable() -> Iterator[tuple[str, Precision]]:
    for engine in ENGINES:
        for precision in ENGINES[engine].precisions:
            yield engine, precision
