"""Calibration: some ways to run a model are opened, tested and timed on this machine, and the fastest is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec

from ..bundles.manifest import Variant
from ..engines import PRECISIONS, Engine
from ..errors import BundleError, ResourceError
from ..memory.free_memory import free_memory
from ..memory.resident import resident_bytes
from .self_test import GoldenTest
from .timing import timed

BUDGET_SECONDS = 3.3  # nothing is begun that will probably end later …
BUDGET_DEFAULTS = 2.5  # … unless the default alone takes so long that this many of its times are more
GAIN = 0.9  # of the other's time is clearly faster; what is not gives way to what ranks first (`_rank`)
HOPELESS = 2.0  # times the best: an engine that far behind with its first precision is not measured further
STREAM_SHARE = 0.25  # of the free memory, for what further streams take
_REPEAT_SECONDS = 0.2  # short windows are timed several times
_REPEATS = 5


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to run a model: engine, precision, and how many inferences run at the same time."""

    engine: str
    precision: str
    streams: int = 1

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}" + (f" in {self.streams} streams" if self.streams > 1 else "")


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of trying a setting.

    Attributes:
        setting: the setting.
        ms_per_window: milliseconds of one window with all streams at work, as they would be if other programs gave way;
            None where it was not measured.
        note: why it was not measured, or does not count.
    """

    setting: Setting
    ms_per_window: float | None = None
    note: str = ""


class EngineTrials:
    """Tries settings, the default first, within some seconds.

    Args:
        test: window to run, and what must come out.
        open_setting: makes an engine; its errors are those of `open_engine`.
        variant_of: the bundle's variant of a setting, which says what the self-test asks for.
        threads: CPU threads of an engine.
        memory_limit: bytes this process may hold; None for what is free.

    Attributes:
        trials: what was tried, in order.
        workspace_bytes: the most that a stream took when it first ran.
    """

    def __init__(
        self,
        test: GoldenTest,
        open_setting: Callable[[Setting], Engine],
        variant_of: Callable[[Setting], Variant],
        threads: int,
        memory_limit: int | None = None,
    ) -> None:
        self._test, self._open, self._variant_of = test, open_setting, variant_of
        self._threads, self._memory_limit = threads, memory_limit
        self._best: tuple[Engine, Setting, float] | None = None
        self._first_error: BundleError | ResourceError | None = None
        self._begun = 0.0
        self._costs: list[float] = []  # seconds of each setting that was measured
        self._model_bytes = 0
        self.trials: list[Trial] = []
        self.workspace_bytes = 0

    def fastest(self, settings: Sequence[Setting], streams: Sequence[int]) -> tuple[Engine, Setting]:
        """Tries the settings: the default in one stream, the others in several where there is room.

        Args:
            settings: with one stream each, the default first, grouped by engine.
            streams: numbers of streams above one; empty for one stream throughout.

        Returns:
            The engine of the fastest setting, ready to run, and that setting.

        Raises:
            BundleError: none passed the self-test; the error is the default's.
            ResourceError: there was no room for any.
        """
        self._begun = time.perf_counter()
        try:
            for setting in self._in_order(settings, streams):
                reason = self._not_worth_it(setting)
                trial = Trial(setting=setting, note=reason) if reason else self._try(setting)
                self.trials.append(trial)
        except BaseException:
            self._close_best()
            raise
        if self._best is None:
            raise self._first_error or BundleError("the bundle has no model to run; export it again")
        return self._best[:2]

    def reason(self) -> str:
        """Returns in words what was chosen and what it was measured against."""
        if self._best is None:
            return "nothing was chosen"
        _, chosen, ms = self._best
        others = [
            f"{trial.setting} {trial.note or f'{trial.ms_per_window:.0f} ms'}"
            for trial in self.trials
            if trial.setting != chosen
        ]
        against = f" ({'; '.join(others)})" if others else ", the only way there is"
        return f"{chosen}: {ms:.0f} ms per window{against}"

    def _in_order(self, settings: Sequence[Setting], streams: Sequence[int]) -> Iterator[Setting]:
        """Yields the default, then the others at once in the most streams, which nearly always is their faster way."""
        for engine, group in groupby(settings, lambda setting: setting.engine):
            for setting in group:
                able = [count for count in streams if self._best is not None and not self._lacks_memory(count)]
                yield msgspec.structs.replace(setting, streams=max(able, default=1))
            if self._best is not None and self._best[1].engine == engine:
                best = self._best[1]
                others = {1, *streams} - {best.streams}
                yield from (msgspec.structs.replace(best, streams=count) for count in sorted(others))

    def _not_worth_it(self, setting: Setting) -> str:
        """Says why a setting is not even opened; empty where it is."""
        if self._best is None:
            return ""
        spent = time.perf_counter() - self._begun
        if spent + self._costs[-1] > max(BUDGET_SECONDS, BUDGET_DEFAULTS * self._costs[0]):
            return "not measured, for want of time"
        first = next((trial.ms_per_window for trial in self.trials if trial.setting.engine == setting.engine), None)
        if first is not None and first > HOPELESS * self._best[2] and setting.engine != self._best[1].engine:
            return "not measured, its engine is too slow"
        return "not measured, for want of memory" if self._lacks_memory(setting.streams) else ""

    def _lacks_memory(self, streams: int) -> bool:
        free = free_memory()
        if self._memory_limit is not None:
            free = min(free, self._memory_limit - resident_bytes())
        # While it is measured, the best so far stays open; what it takes beyond one stream it takes from every scan.
        needed = self._model_bytes + streams * self.workspace_bytes
        return needed > free or (streams - 1) * self.workspace_bytes > STREAM_SHARE * free

    def _try(self, setting: Setting) -> Trial:
        try:
            return self._tried(setting)
        except MemoryError:  # another setting may do with less
            return self._failed(setting, ResourceError("not enough memory"))

    def _tried(self, setting: Setting) -> Trial:
        begun, held = time.perf_counter(), resident_bytes()
        try:
            engine = self._open(setting)
        except (BundleError, ResourceError) as error:
            return self._failed(setting, error)
        try:
            opened = resident_bytes()
            ms = self._measure(engine, setting)
            self._model_bytes = max(self._model_bytes, opened - held)
            self.workspace_bytes = max(self.workspace_bytes, (resident_bytes() - opened) // setting.streams)
            self._costs.append(time.perf_counter() - begun)
        except (BundleError, ResourceError) as error:
            engine.close()
            return self._failed(setting, error)
        except BaseException:
            engine.close()
            raise
        if self._best is None or _preferred(setting, ms, *self._best[1:]):
            self._close_best()
            self._best = engine, setting, ms
        else:
            engine.close()
        return Trial(setting=setting, ms_per_window=round(ms, 2))

    def _measure(self, engine: Engine, setting: Setting) -> float:
        """Tests an engine and returns its milliseconds per window, all streams at work."""
        first = timed(lambda: self._test.run(engine), self._threads)
        for logits in first.result:
            self._test.check(logits, engine, self._variant_of(setting))
        times = [first.seconds]
        while sum(times) < _REPEAT_SECONDS and len(times) < _REPEATS:
            times.append(timed(lambda: self._test.run(engine), self._threads).seconds)
        return min(times) / engine.parallel * 1000

    def _failed(self, setting: Setting, error: BundleError | ResourceError) -> Trial:
        self._first_error = self._first_error or error
        return Trial(setting=setting, note=str(error))

    def _close_best(self) -> None:
        if self._best is not None:
            self._best[0].close()


def _preferred(setting: Setting, ms: float, best: Setting, best_ms: float) -> bool:
    """Returns whether a setting takes the best one's place."""
    if _rank(setting) < _rank(best):
        return best_ms >= GAIN * ms
    return ms < GAIN * best_ms


def _rank(setting: Setting) -> tuple[int, int]:
    """Returns what stands first where nothing is clearly faster: the more exact, then the more streams.

    A window is timed alone; in a scan a thread blends meanwhile. It stops one stream, and all threads of that stream
    wait for each other: of one stream all, of two the half.
    """
    return PRECISIONS.index(setting.precision), -setting.streams
