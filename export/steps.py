"""Progress of an export: a known number of steps, each with a word on what is being done."""

from __future__ import annotations

from typing import Protocol


class ExportProgress(Protocol):
    """Hears how far an export is."""

    def __call__(self, done: int, total: int, note: str) -> None:
        """Called when a step begins, and at the end, with steps done, steps in all and what comes next."""
        ...


class Steps:
    """Counts steps for a listener.

    Args:
        total: number of steps.
        listener: hears of each; None for nobody.
    """

    def __init__(self, total: int, listener: ExportProgress | None) -> None:
        self._total = total
        self._listener = listener
        self._begun = 0

    def begin(self, note: str) -> None:
        """Begins the next step, which ends the one before."""
        self._begun += 1
        if self._listener is not None:
            self._listener(min(self._begun, self._total) - 1, self._total, note)

    def remark(self, note: str) -> None:
        """Says something within the step under way."""
        if self._listener is not None:
            self._listener(max(self._begun, 1) - 1, self._total, note)

    def finish(self) -> None:
        """Ends the last step."""
        if self._listener is not None:
            self._listener(self._total, self._total, "done")
