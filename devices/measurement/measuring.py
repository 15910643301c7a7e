"""The work of a measured process: it takes one step at a time, and answers with figures, memory and energy."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...runtime.errors import BedsideError, InputError
from ...runtime.hooks import Progress
from ..sensors.energy import Energy, EnergyMeter
from ..sensors.memory import PeakMemory
from .imposed import Imposed
from .latency import call_times, warm_up
from .session import Contender, Session
from .sustained import sustained_times

STEPS = 1000  # steps of the progress within one item
_LATER_WARM_UP = 0.05  # seconds in every round but the first, where caches and threads have been warm before

Share = Callable[[float], object]


@dataclass(frozen=True)
class Start:
    """Opens the network; see `Session.start`."""

    compiled: Path | None = None
    keep: Path | None = None

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step, and returns its figures: here the times of the start, and the engine's version later."""
        return session.start(self.compiled, self.keep)


@dataclass(frozen=True)
class SelfTest:
    """Checks that the network computes on this machine what it should; its memory is not the variant's."""

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step."""
        session.self_test()


@dataclass(frozen=True)
class Windows:
    """Repeats one window for at least so many seconds and calls; gives the seconds of each call.

    Attributes:
        seconds: shortest duration, the warm-up not counted.
        calls: fewest calls.
        first: whether it is the first round, whose warm-up is longer.
    """

    seconds: float
    calls: int
    first: bool

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step."""
        call = session.window()
        if self.first:
            warm_up(call)
        else:
            warm_up(call, seconds=_LATER_WARM_UP, min_calls=1)
        return call_times(call, min_seconds=self.seconds, min_calls=self.calls, progress=progress)


@dataclass(frozen=True)
class OpenScans:
    """Loads what segments whole scans."""

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step."""
        session.open_scans()


@dataclass(frozen=True)
class Scan:
    """Segments the scan once."""

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step."""
        return session.scan(progress)


@dataclass(frozen=True)
class Sustain:
    """Repeats one window for so many seconds; gives `SustainedTimes`."""

    seconds: float

    def take(self, session: Session, progress: Share) -> Any:
        """Takes the step."""
        call = session.window()
        warm_up(call)
        return sustained_times(call, self.seconds, progress)


Step = Start | SelfTest | Windows | OpenScans | Scan | Sustain


@dataclass(frozen=True)
class Figures:
    """The answer to a step.

    Attributes:
        result: what the step gives.
        baseline: resident bytes before the step.
        peak: peak resident bytes during it.
        exact: whether the peak is the kernel's high-water mark, not the largest sample.
        energy: energy of the whole package or module during the step.
        engine_version: version of the engine's package.
    """

    result: Any
    baseline: int
    peak: int
    exact: bool
    energy: Energy
    engine_version: str


@dataclass(frozen=True)
class Failure:
    """The answer to a step that failed, for this contender alone."""

    reason: str


@dataclass(frozen=True)
class Measuring:
    """The work of a measured process, see `Work`; a contender's failure becomes the answer to its step.

    Attributes:
        contender: the variant that this process measures.
        imposed: cores and memory of a device, imposed on this process; None for this machine's own.
    """

    contender: Contender
    imposed: Imposed | None = None
    cleans_up: ClassVar[bool] = True  # removes the label map of the end-to-end run
    advice: ClassVar[str] = "free memory or choose int8"

    @contextmanager
    def ready(self) -> Generator[Callable[[Step, Progress], Figures | Failure]]:
        """Yields the function that takes a step; loads nothing before it, which would shorten the cold start."""
        if self.imposed is not None:
            self.imposed.impose()
        with self.contender.session() as session:
            yield lambda step, progress: self._take(session, step, progress)

    def failed(self, item: Step, reason: str) -> Figures | Failure:
        """Returns the answer to a step whose process died."""
        return Failure(reason)

    def _take(self, session: Session, step: Step, progress: Progress) -> Figures | Failure:
        try:
            with PeakMemory() as memory, EnergyMeter(graphics=self.contender.on_card) as meter:
                result = step.take(session, lambda share: progress(round(share * STEPS), STEPS))
            version = self.contender.engine_version()
            return Figures(result, memory.baseline, memory.peak, memory.exact, meter.reading, version)
        except InputError:  # the scan is refused, for every variant
            raise
        except BedsideError as error:
            return Failure(str(error))
        except MemoryError:
            return Failure("out of memory")
        except Exception as error:  # engines raise errors of many kinds
            return Failure(f"{type(error).__name__}: {error}")
