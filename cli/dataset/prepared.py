"""`bedside dataset prepared`: lists the prepared cases of a folder, and clears them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options.paths import input_argument
from ..terminal.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from ...training.data.prepared_folder import StoredCase


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """List the cases that trainings have prepared: how many for which task, their size, when they were last used.

    With --clear they are removed; what a training needs again is prepared again. May be called while trainings run.

    Example: bedside dataset prepared runs/

    Example: bedside dataset prepared runs/ --unused-for 30 --clear
    """

    folder: Annotated[
        Path,
        input_argument(help="Folder of prepared cases, or its parent (bedside-cases inside).", show_default=False),
    ]
    unused_for: Annotated[
        int, typer.Option("--unused-for", min=0, help="Only cases that no training has used for so many days.")
    ] = 0
    clear: Annotated[bool, typer.Option("--clear", help="Remove them, but for those that a training uses now.")] = False
    console: Console

    def __call__(self) -> None:
        """Lists or clears the prepared cases."""
        console = self.console
        from ...training.data.prepared_folder import PreparedFolder

        there = PreparedFolder(self.folder)
        if self.clear:
            cases = there.clear(self.unused_for)
            console.finished(f"{_amount(cases)} cleared")
            left = there.cases()
            verdict = f"cleared {_amount(cases)}; left {_amount(left)}, {sum(case.in_use for case in left)} in use"
        else:
            cases = [case for case in there.cases() if not self.unused_for or case.unused_for(self.unused_for)]
            verdict = _amount(cases)
        console.show(*_tables(there.path, cases), verdict)
        console.emit(
            {
                "folder": str(there.path),
                "cleared": self.clear,
                "cases": [
                    {
                        "key": case.key,
                        "task": case.task or None,
                        "spacing": case.spacing,
                        "bytes": case.size,
                        "last_used": datetime.fromtimestamp(case.used, timezone.utc).isoformat(timespec="seconds"),
                        "in_use": case.in_use,
                    }
                    for case in cases
                ],
            }
        )


def _tables(folder: Path, cases: Sequence[StoredCase]) -> list[Table]:
    from rich.table import Table

    if not cases:
        return []
    table = Table("task", "grid", title=f"Prepared cases in {folder}", title_justify="left")
    for heading in ("cases", "in use", "size", "last used"):
        table.add_column(heading, justify="right", no_wrap=True)
    for (task, grid), group in groupby(sorted(cases, key=_kind), key=_kind):
        alike = list(group)
        used = sum(case.in_use for case in alike)
        last = max(case.used for case in alike)
        table.add_row(task or "–", grid, str(len(alike)), str(used or "–"), _size(alike), _ago(last))
    return [table]


def _kind(case: StoredCase) -> tuple[str, str]:
    """Returns task and grid: cases that share both have one row."""
    return case.task, "damaged" if case.spacing is None else " × ".join(f"{step:g}" for step in case.spacing) + " mm"


def _amount(cases: Sequence[StoredCase]) -> str:
    return f"{len(cases)} case{'' if len(cases) == 1 else 's'}, {_size(cases)}"


def _size(cases: Sequence[StoredCase]) -> str:
    size = sum(case.size for case in cases)
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _ago(when: float) -> str:
    days = int((time.time() - when) / 86_400)
    return "today" if days < 1 else f"{days} day{'' if days == 1 else 's'} ago"
