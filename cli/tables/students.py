"""The table of students: what each costs, which patches it accepts, whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...distill.students.registry import STUDENTS
from ...runtime.axes import DHW, XYZ

if TYPE_CHECKING:
    from rich.table import Table

    from ...distill.students.cost import InferenceCost
    from ...distill.students.spec import StudentSpec
    from ..terminal.console import Console

LEAST_PATCH = DHW(64, 64, 64)


@dataclass(frozen=True)
class ListedStudent:
    """A line of the table.

    Attributes:
        name: name in `STUDENTS`.
        spec: its row there.
        patch: the patch that the cost is for, in voxels.
        cost: cost of one window of this patch; None if it cannot be predicted.
    """

    name: str
    spec: StudentSpec
    patch: DHW
    cost: InferenceCost | None

    def record(self) -> dict[str, Any]:
        """Returns the line for JSON; the patch is x, y, z."""
        return {
            "name": self.name,
            "parameters": self.cost and self.cost.parameters,
            "flops": self.cost and self.cost.flops,
            "activation_bytes": self.cost and self.cost.activation_bytes,
            "patch": list(self.patch.xyz),
            "patch_multiple": self.spec.patch_rule.multiple,
            "min_longest_edge": self.spec.patch_rule.min_longest_edge,
            "source": self.spec.source,
        }


def listed_students(num_classes: int, least_patch: DHW = LEAST_PATCH) -> list[ListedStudent]:
    """Returns all students, of this package and of installed ones; imports torch.

    Args:
        num_classes: output channels, background included.
        least_patch: voxels; each student's cost is that of the smallest patch it accepts which contains this box.
    """
    listed: list[ListedStudent] = []
    for name, spec in STUDENTS.working():
        patch = spec.patch_rule.covering(least_patch)
        listed.append(ListedStudent(name, spec, patch, _predicted_cost(spec, num_classes, patch)))
    return listed


def _predicted_cost(spec: StudentSpec, num_classes: int, patch: DHW) -> InferenceCost | None:
    from ...distill.students.cost import UnpredictableCostError

    try:
        return spec.cost(num_classes=num_classes, patch=patch)
    except UnpredictableCostError:
        return None


def student_table(students: Sequence[ListedStudent], num_classes: int, least_patch: DHW = LEAST_PATCH) -> Table:
    """Returns the students as a table for people; arguments as of `listed_students`."""
    from rich.table import Table

    window = "×".join(str(edge) for edge in least_patch.xyz)
    title = f"Students: {num_classes} classes, windows of {window}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("student", style="bold", no_wrap=True)
    for heading in ("parameters", "GFLOP", "MB", "patch"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold")
    for each in students:
        cost, rule = each.cost, each.spec.patch_rule
        mark = "" if each.patch == least_patch else "*"
        figures = ("–", "–", "–")
        if cost is not None:
            memory = f"{cost.activation_bytes / 1e6:.0f}{mark}"
            figures = (f"{cost.parameters:,}", f"{cost.flops / 1e9:.2f}{mark}", memory)
        table.add_row(each.name, *figures, f"{rule.multiple}, {rule.min_longest_edge}", each.spec.source)
    caption = (
        "GFLOP, and MB of activations in float32: of one window; * of the smallest larger one that is accepted.\n"
        "patch: every edge is a multiple of the first number, the longest is at least the second."
    )
    if any(each.cost is None for each in students):
        caption += "\n–: depends on the values in a window, not only on its size; measure it with bedside benchmark."
    table.caption = caption
    table.caption_justify = "left"
    return table


def list_students(num_classes: int, patch: tuple[int, int, int] | None, console: Console) -> None:
    """Shows the students, built-in and installed.

    Args:
        num_classes: number of classes that their cost is for.
        patch: (x, y, z) in voxels that it is for; None for the least that each accepts.
        console: where to show them.
    """
    from ...distill.students.front import advice
    from ...distill.students.measured import measured_students
    from .measured_students import advice_table, comparisons_record, measured_record, measured_table

    shape = LEAST_PATCH if patch is None else XYZ(*patch).dhw
    students, measured = listed_students(num_classes, shape), measured_students()
    advised = advice(measured, {each.name: each.cost.parameters for each in students if each.cost is not None})
    table = measured_table([each.name for each in students], measured)
    console.show(student_table(students, num_classes, shape), "", table, "", advice_table(advised))
    lines = [{**each.record(), **measured_record(each.name, measured)} for each in students]
    compared = {**comparisons_record(measured), "advice": advised}
    console.emit({"num_classes": num_classes, "students": lines, **compared})
