"""A table of names and values, and the rows of a task: shared by bundles and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.task import Task


def facts_table(title: str) -> Table:
    """Returns an empty table with two columns, name and value, without a header."""
    from rich.table import Table

    return Table("", "", title=title, show_header=False)


def task_rows(task: Task) -> list[tuple[str, str]]:
    """Returns (name, value) rows of a task: its name, labels, grid and window."""
    spacing, patch = (" × ".join(f"{value:g}" for value in triple) for triple in (task.spacing, task.patch))
    anchored = "" if task.anchor == "centre" else f", from each scan's {task.anchor}"
    return [
        ("task", f"{task.name}, {task.modality.value}" + (f", {task.anatomy}" if task.anatomy else "")),
        ("labels", ", ".join(task.labels[1:])),
        ("grid", f"{spacing} mm, {task.orientation}{anchored}; window {patch} voxels (x, y, z)"),
    ]
