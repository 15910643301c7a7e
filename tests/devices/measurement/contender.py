"""A contender without an engine, for tests: it does what its name says."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field

from bedside.devices.measurement.report import ColdStart, EndToEnd
from bedside.runtime.axes import XYZ


@dataclass(frozen=True)
class Scripted:
    """Raises an error in a step, or kills its process there; otherwise every step succeeds at once."""

    label: str = "scripted"
    step: str = ""
    error: Exception | None = None
    engine: str = "none"
    precision: str = "fp32"
    device: str = "CPU"
    input: str | None = None
    on_card: bool = False
    done: list[str] = field(default_factory=list)

    @contextmanager
    def session(self):
        yield self

    def engine_version(self):
        return "1"

    def _take(self, step):
        self.done.append(step)
        if step == self.step:
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                raise self.error

    def start(self, compiled, keep):
        self._take("start")
        return ColdStart(0.1, 0.2, 0.3, 0.6)

    def self_test(self):
        self._take("self_test")

    def window(self):
        self._take("window")
        return lambda: None

    def open_scans(self):
        self._take("open_scans")

    def scan(self, progress):
        self._take("scan")
        progress(0.5)
        return EndToEnd(XYZ(2, 2, 2), (1.0, 1.0, 1.0), 1, 0, {"read": 1.0}, 1.5)
