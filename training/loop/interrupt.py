"""Receives SIGTERM, Ctrl-C and SIGHUP, so that the training loop can save its state and stop."""

from __future__ import annotations

import logging
import signal
from types import FrameType, TracebackType

import numpy as np

from ...runtime.errors import Cancelled, ExitCode
from .process_group import AgreedOutcome, ProcessGroup

_HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # not on Windows
_log = logging.getLogger("bedside.training")


class TrainingInterrupted(AgreedOutcome):
    """A signal stopped the training; its state is saved and ``--resume`` continues from there."""

    def __init__(self, signum: int) -> None:
        super().__init__("stopped on request; the state is saved, add --resume to go on")
        self.exit_code = ExitCode.TERMINATED if signum == signal.SIGTERM else ExitCode.INTERRUPTED


class StopRequest:
    """Context manager that records SIGTERM, Ctrl-C and SIGHUP, so that the training loop can stop between two steps.

    A second Ctrl-C stops at once, without saving. A second SIGTERM does not: one request often arrives twice, from the
    launcher and from the process group, and SIGKILL is there for an immediate end.

    SIGHUP, the end of the terminal, counts as SIGTERM. Where the parent process ignores Ctrl-C or SIGHUP, as a shell
    does for background jobs and ``nohup`` for all, they stay ignored.

    Attributes:
        signum: number of the signal received, SIGTERM if it was among several; None before.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signum: int | None = None
        self._interrupts = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        try:
            for signum in (*self._SIGNALS, *_HANGUP):
                if signum != signal.SIGTERM and signal.getsignal(signum) == signal.SIG_IGN:
                    continue
                self._previous[signum] = signal.signal(signum, self._note)
        except ValueError:  # signal handlers can only be set in the main thread
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
            self.signum = signal.SIGINT if signum == signal.SIGINT else signal.SIGTERM

    def raise_if_received(self) -> None:
        """Raises `Cancelled` if this process has received a signal."""
        if self.signum is not None:
            raise Cancelled("stopped on request")

    def flags(self) -> list[float]:
        """Returns one number per signal, 1.0 if this process received it; `agreed` expects their sum over processes."""
        return [float(self.signum == signum) for signum in self._SIGNALS]

    def agreed(self, sums: np.ndarray) -> int | None:
        """Returns the signal that any process received, or None; SIGTERM before SIGINT.

        Args:
            sums: `flags`, summed over the processes.
        """
        return next((signum for signum, sent in zip(self._SIGNALS, sums, strict=True) if sent), None)

    def raise_if_any_received(self, group: ProcessGroup) -> None:
        """Raises `Cancelled` on all processes if any had received a signal; all must call this together.

        A signal that arrives during the call counts at the next one: the other processes do not know of it yet.
        """
        signum = self.agreed(group.total(np.array(self.flags())))
        if signum is not None:
            self.signum = signum
            self.raise_if_received()
