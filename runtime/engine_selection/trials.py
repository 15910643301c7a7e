"""Trials: opens, tests and times several settings of a model on this machine, and keeps the fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from ..bundles.variant import Variant
from ..engines import CPU, PRECISIONS, Engine, closed_on_error
from ..errors import BundleError, ResourceError
from ..memory.free_memory import free_memory
from ..memory.resident import resident_bytes
from .self_test import GoldenTest
from .timing import timed

BUDGET_SECONDS = 3.3  # no trial starts that will probably end later …
BUDGET_DEFAULTS = 3.5  # … or later than this many times the default's own trial, if that is more (TensorRT's build)
GAIN = 0.9  # a setting below this share of another's time is clearly faster; otherwise the better rank wins (`_rank`)
TOO_SLOW = 2.0  # times the best time: an engine that slow with its first precision gets no further trials
STREAM_SHARE = 0.25  # of the free memory, which additional streams may use
_REPEAT_SECONDS = 0.2  # short windows are timed several times
_REPEATS = 5


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting for a model: engine, precision, number of inferences that run at the same time, and device."""

    engine: str
    precision: str
    streams: int = 1
    device: str = CPU

    def __str__(self) -> str:
        device = "" if self.device == CPU else f" on {self.device}"
        return f"{self.engine} {self.precision}{device}" + (f" in {self.streams} streams" if self.streams > 1 else "")

    @property
    def runner(self) -> tuple[str, str]:
        """Engine and device: what the settings that differ in precision and streams alone have in common."""
        return self.engine, self.device


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of trying a setting.

    Attributes:
        setting: the setting that was tried.
        ms_per_window: milliseconds per window with all streams busy, corrected for other programs (see `timed`); None
            where it was not measured.
        note: why it was not measured or failed; empty otherwise.
    """

    setting: Setting
    ms_per_window: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Candidate:
    """An opened engine that passed the self-test, with its setting and its milliseconds per window."""

    engine: Engine
    setting: Setting
    ms_per_window: float

    def replaces(self, best: Candidate) -> bool:
        """Returns whether this candidate is preferred to the best one so far."""
        if _rank(self.setting) < _rank(best.setting):
            return best.ms_per_window >= GAIN * self.ms_per_window
        return self.ms_per_window < GAIN * best.ms_per_window


class EngineTrials:
    """Tries settings, the default first, within some seconds.

    Args:
        test: the window to run and the expected logits.
        open_setting: opens an engine for a setting; raises like `open_engine`.
        variant_of: returns the bundle's variant for a setting, which says how close the self-test must be.
        threads: number of CPU threads of an engine.
        memory_limit: bytes this process may hold; None for all free memory.

    Attributes:
        trials: the trials so far, in order.
        workspace_bytes: the most bytes that a stream allocated on its first run.
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
        self._best: Candidate | None = None
        self._first_error: BundleError | ResourceError | None = None
        self._begun = 0.0
        self._costs: list[float] = []  # seconds of each trial that was measured
        self._model_bytes = 0
        self.trials: list[Trial] = []
        self.workspace_bytes = 0

    def fastest(self, settings: Sequence[Setting], streams: Sequence[int]) -> Candidate:
        """Tries the settings: the default in one stream, the others in several where memory allows.

        Args:
            settings: with one stream each, the default first, grouped by engine and device.
            streams: numbers of streams above one; empty for one stream throughout.

        Returns:
            The fastest setting, with its engine, which is open.

        Raises:
            BundleError: no setting works; the default cannot be opened or fails the self-test.
            ResourceError: no setting works; there is not enough memory for the default.
        """
        self._begun = time.perf_counter()
        try:
            for setting in self._in_order(settings, streams):
                reason = self._reason_to_skip(setting)
                trial = Trial(setting=setting, note=reason) if reason else self._try(setting)
                self.trials.append(trial)
        except BaseException:
            self._close_best()
            raise
        if self._best is None:
            raise self._first_error or BundleError("the bundle has no model to run; export it again")
        return self._best

    def reason(self) -> str:
        """Describes the chosen setting and the others it was compared with."""
        if self._best is None:
            return "nothing was chosen"
        chosen, ms = self._best.setting, self._best.ms_per_window
        several = any(trial.setting.streams > 1 for trial in self.trials)
        others = [trial for trial in self.trials if trial.setting != chosen]
        told = [
            f"{trial.setting}{' in 1 stream' if several and trial.setting.streams == 1 else ''} "
            f"{trial.note or f'{trial.ms_per_window:.0f} ms'}"
            for trial in others
        ]
        against = f" ({'; '.join(told)})" if told else ", the only candidate"
        faster = any(trial.ms_per_window is not None and trial.ms_per_window < ms for trial in others)
        needed = f"{100 * (1 - GAIN):.0f} % faster"
        rule = f"; a less exact setting, or fewer streams, would have to be {needed}" if faster else ""
        return f"{chosen}: {ms:.0f} ms per window{against}{rule}"

    def _in_order(self, settings: Sequence[Setting], streams: Sequence[int]) -> Iterator[Setting]:
        """Yields the default in one stream, then the others in the most streams, which is nearly always faster."""
        for runner, group in groupby(settings, lambda setting: setting.runner):
            for setting in group:
                able = [count for count in streams if self._best is not None and not self._lacks_memory(count)]
                yield msgspec.structs.replace(setting, streams=max(able, default=1))
            if self._best is not None and self._best.setting.runner == runner:
                best = self._best.setting
                others = {1, *streams} - {best.streams}
                yield from (msgspec.structs.replace(best, streams=count) for count in sorted(others))

    def _reason_to_skip(self, setting: Setting) -> str:
        """Returns why a setting is not tried; empty where it is."""
        if self._best is None:
            return ""
        spent = time.perf_counter() - self._begun
        if spent + self._costs[-1] > max(BUDGET_SECONDS, BUDGET_DEFAULTS * self._costs[0]):
            return "not measured, for want of time"
        runner = setting.runner
        first = next((trial.ms_per_window for trial in self.trials if trial.setting.runner == runner), None)
        if first is not None and first > TOO_SLOW * self._best.ms_per_window and runner != self._best.setting.runner:
            return "not measured, its engine is too slow"
        return "not measured, for want of memory" if self._lacks_memory(setting.streams) else ""

    def _lacks_memory(self, streams: int) -> bool:
        free = free_memory()
        if self._memory_limit is not None:
            free = min(free, self._memory_limit - resident_bytes())
        # The best engine so far stays open during a trial, and memory for additional streams is missing in every scan.
        needed = self._model_bytes + streams * self.workspace_bytes
        return needed > free or (streams - 1) * self.workspace_bytes > STREAM_SHARE * free

    def _try(self, setting: Setting) -> Trial:
        try:
            return self._tried(setting)
        except MemoryError:  # another setting may need less
            return self._failed(setting, ResourceError("not enough memory"))

    def _tried(self, setting: Setting) -> Trial:
        begun, held = time.perf_counter(), resident_bytes()
        try:
            engine = self._open(setting)
        except (BundleError, ResourceError) as error:
            return self._failed(setting, error)
        try:
            with closed_on_error(engine):
                opened = resident_bytes()
                ms = self._measure(engine, setting)
                self._model_bytes = max(self._model_bytes, opened - held)
                self.workspace_bytes = max(self.workspace_bytes, (resident_bytes() - opened) // setting.streams)
                self._costs.append(time.perf_counter() - begun)
        except (BundleError, ResourceError) as error:
            return self._failed(setting, error)
        candidate = Candidate(engine, setting, ms)
        if self._best is None or candidate.replaces(self._best):
            self._close_best()
            self._best = candidate
        else:
            engine.close()
        return Trial(setting=setting, ms_per_window=round(ms, 2))

    def _measure(self, engine: Engine, setting: Setting) -> float:
        """Tests an engine and returns its milliseconds per window with all streams busy."""
        threads = self._threads if setting.device == CPU else None
        first = timed(lambda: self._test.run(engine), threads)
        for logits in first.result:
            self._test.check(logits, engine, self._variant_of(setting))
        times = [first.seconds]
        while sum(times) < _REPEAT_SECONDS and len(times) < _REPEATS:
            times.append(timed(lambda: self._test.run(engine), threads).seconds)
        return min(times) / engine.parallel * 1000

    def _failed(self, setting: Setting, error: BundleError | ResourceError) -> Trial:
        self._first_error = self._first_error or error
        return Trial(setting=setting, note=str(error))

    def _close_best(self) -> None:
        if self._best is not None:
            self._best.engine.close()


def _rank(setting: Setting) -> tuple[int, int]:
    """Returns the rank of a setting, used where none is clearly faster: the more accurate first, then more streams.

    Trials time the windows alone, but in a scan another thread blends at the same time. It delays one stream, whose
    threads wait for each other: with one stream that is all threads, with two streams half of them.
    """
    return PRECISIONS.index(setting.precision), -setting.streams
