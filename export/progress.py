"""Progress of an export: a fixed number of steps, each with a note on what it does."""

from __future__ import annotations

from typing import Protocol


class ExportProgress(Protocol):
    """Callback for the progress of an export."""

    def __call__(self, done: int, total: int, note: str) -> None:
        """Called when a step begins, and at the end, with steps done, steps in total and a note on the step."""
        ...


class ExportSteps:
    """Counts the steps of an export and reports each to a listener.

    Args:
        total: number of steps.
        listener: called for each step and remark; None for no reports.
    """

    def __init__(self, total: int, listener: ExportProgress | None) -> None:
        self._total = total
        self._listener = listener
        self._begun = 0

    def begin(self, note: str) -> None:
        """Ends the current step and begins the next."""
        self._begun += 1
        if self._listener is not None:
            self._listener(min(self._begun, self._total) - 1, self._total, note)

    def remark(self, note: str) -> None:
        """Reports a note within the current step."""
        if self._listener is not None:
            self._listener(max(self._begun, 1) - 1, self._total, note)

    def finish(self) -> None:
        """Ends the last step."""
        if self._listener is not None:
            self._listener(self._total, self._total, "done")
