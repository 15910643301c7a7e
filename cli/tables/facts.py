"""A table of facts, and the facts of a task: what a bundle and a run have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.task import Task


def facts_table(title: str) -> Table:
    """Returns an empty table of names and what there is to say of them."""
    from rich.table import Table

    return Table("", "", title=title, show_header=False)


def task_rows(task: Task) -> list[tuple[str, str]]:
    """Returns the rows that describe a task."""
    spacing, patch = (" × ".join(f"{value:g}" for value in triple) for triple in (task.spacing, task.patch))
    return [
        ("task", f"{task.name}, {task.modality.value}" + (f", {task.anatomy}" if task.anatomy else "")),
        ("labels", ", ".join(task.labels[1:])),
        ("grid", f"{spacing} mm, {task.orientation}; window {patch} voxels (x, y, z)"),
    ]
