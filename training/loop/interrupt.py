"""Stopping a training run without losing it."""

from __future__ import annotations

import logging
import signal
from types import FrameType, TracebackType

import numpy as np

from ...runtime.errors import Cancelled, ExitCode
from .process_group import AgreedOutcome, ProcessGroup

_log = logging.getLogger("bedside.training")


class TrainingInterrupted(AgreedOutcome):
    """Training was asked to stop; its state is saved and ``--resume`` goes on from there."""

    def __init__(self, signum: int) -> None:
        super().__init__("stopped on request; the state is saved, add --resume to go on")
        self.exit_code = ExitCode.TERMINATED if signum == signal.SIGTERM else ExitCode.INTERRUPTED


class StopRequest:
    """Context manager that turns SIGTERM and Ctrl-C into a request the loop can honour between two steps.

    A second Ctrl-C is a person who does not want to wait and stops at once, without saving. SIGTERM is never that:
    one request often arrives twice, from the launcher and from the process group, and who is in a hurry has SIGKILL.

    Where the caller ignores Ctrl-C, as a shell does for what it starts in the background, it stays ignored.

    Attributes:
        signum: the signal that arrived, or None; SIGTERM, if it was among several.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signum: int | None = None
        self._interrupts = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        try:
            for signum in self._SIGNALS:
                if signum == signal.SIGINT and signal.getsignal(signum) == signal.SIG_IGN:
                    continue
                self._previous[signum] = signal.signal(signum, self._note)
        except ValueError:  # not the main thread: the caller's own handlers stay
            self._previous.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._interrupts += signum == signal.SIGINT
        if self._interrupts > 1:
            raise KeyboardInterrupt
        if self.signum is None:
            _log.warning("stopping as soon as the state is saved; Ctrl-C once more stops at once")
        if self.signum != signal.SIGTERM:
            self.signum = signum

    def raise_here(self) -> None:
        """Raises `Cancelled` if this process was asked to stop."""
        if self.signum is not None:
            raise Cancelled("stopped on request")

    def flags(self) -> list[float]:
        """Returns this process's requests as numbers that can be summed over processes, for `agreed`."""
        return [float(self.signum == signum) for signum in self._SIGNALS]

    def agreed(self, sums: np.ndarray) -> int | None:
        """Returns the signal that any process received, from the processes' summed `flags`; SIGTERM before SIGINT."""
        return next((signum for signum, sent in zip(self._SIGNALS, sums, strict=True) if sent), None)

    def ask(self, team: ProcessGroup) -> int | None:
        """Returns the signal that any process has received by now; all processes call this together."""
        return self.agreed(team.total(np.array(self.flags())))
