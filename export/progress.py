"""Progress of an export: a fixed number of steps, each with a note on what it does."""

from __future__ import annotations

from ..runtime.hooks import Progress


class ExportSteps:
    """Counts the steps of an export and reports each to a listener.

    Args:
        total: number of steps.
        listener: called with (steps done, steps in total, note) for each step and remark; None for no reports.
    """

    def __init__(self, total: int, listener: Progress | None) -> None:
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
