"""Interleaved rounds: every variant is measured once in each, so that a drift of the machine touches all alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ...processes.kept_worker import KeptWorker
from ...runtime.hooks import Progress
from ...runtime.memory.free_memory import free_memory
from .imposed import Imposed
from .latency import MIN_CALLS
from .measuring import STEPS, Failure, Figures, Measuring, OpenScans, Scan, SelfTest, Start, Step, Sustain, Windows
from .session import Contender
from .sustained import SustainedRun, sustained_run
from .telemetry import TelemetrySampler
from .variant_run import Key, VariantRun

_SHARES = {Start: 5, Windows: 25, OpenScans: 10, Scan: 60}  # of a variant's progress
TOTAL = sum(_SHARES.values())


@dataclass(frozen=True)
class Schedule:
    """How much is measured.

    Attributes:
        rounds: rounds of windows.
        seconds: shortest measurement of each variant's windows, in seconds, over all rounds.
        scan_rounds: rounds of whole scans; 0 for none.
    """

    rounds: int
    seconds: float
    scan_rounds: int

    @property
    def windows(self) -> tuple[Windows, ...]:
        """The step of each round."""
        calls = -(-MIN_CALLS // self.rounds)
        return tuple(Windows(self.seconds / self.rounds, calls, first=not index) for index in range(self.rounds))


class Meter:
    """Adds up the progress of all variants, each with `TOTAL` steps."""

    def __init__(self, variants: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = variants * TOTAL, progress, 0.0

    def show(self, extra: float = 0.0) -> None:
        """Reports the steps done, and ``extra`` steps of one that is not finished."""
        if self._progress is not None:
            self._progress(min(int(self._done + extra + 1e-6), self._total), self._total)

    def finish(self, steps: float) -> None:
        """Adds finished steps."""
        self._done += steps
        self.show()

    def end(self) -> None:
        """Reports the end, whatever was left out."""
        self._done = self._total
        self.show()


class Rounds:
    """Measures contenders in interleaved rounds.

    All of a group have their processes open at the same time, and one works at a time. If memory is short, the rest
    makes further groups, and the first contender that has not failed takes part in each of them.

    Args:
        schedule: how much is measured.
        folder: folder for compiled networks.
        meter: takes the progress.
        imposed: cores and memory of a device, imposed on every process; None for this machine's own.
    """

    def __init__(self, schedule: Schedule, folder: Path, meter: Meter, imposed: Imposed | None = None) -> None:
        self._schedule = schedule
        self._folder = folder
        self._meter = meter
        self._imposed = imposed
        self.groups = 0

    def measure(self, contenders: Sequence[Contender]) -> list[VariantRun]:
        """Measures all contenders; a run that failed says why.

        Raises:
            InputError: a scan is refused.
        """
        waiting, runs = deque(contenders), list[VariantRun]()
        group = list[VariantRun]()
        with ExitStack() as stack:
            while waiting:
                started = 0
                while waiting and (started == 0 or _fits(runs)):
                    contender = waiting.popleft()
                    run = VariantRun(contender, KeptWorker(Measuring(contender, self._imposed), hide_stderr=True))
                    stack.enter_context(run.worker)
                    runs.append(run)
                    started += 1
                    if self._start(run):
                        group.append(run)
                self._rounds(group)
                self.groups += 1
                working = [run for run in group if not run.failure]
                for run in working[1:]:
                    run.worker.close()
                group = working[:1]  # whose process stays open for the next group
        return runs

    def _start(self, run: VariantRun) -> bool:
        """Starts a contender cold, once more in another process from what the cold start compiled, and tests it."""
        compiled = self._folder / "compiled"
        cold = self._take(run, Start(keep=compiled))
        if cold is not None:
            run.cold = cold.result
            again = Measuring(run.contender, self._imposed)
            with KeptWorker(again, hide_stderr=True) as worker:
                answer = worker.run(Start(compiled=compiled if compiled.exists() else None))
            run.cached = None if isinstance(answer, Failure) else answer.result
            compiled.unlink(missing_ok=True)
            self._take(run, SelfTest())
        self._meter.finish(_SHARES[Start])
        return not run.failure

    def _rounds(self, group: Sequence[VariantRun]) -> None:
        schedule = self._schedule
        share = _SHARES[Windows] / schedule.rounds
        for index, step in enumerate(schedule.windows):
            for run, again in _order(group, index):
                answer = self._take(run, step, 0 if again else share)
                if answer is not None:
                    run.add_windows(Key(self.groups, index), answer, again)
        for run in group if schedule.scan_rounds else ():
            self._take(run, OpenScans(), _SHARES[OpenScans])
        for index in range(schedule.scan_rounds):
            for run, again in _order(group, index):
                if not again:
                    answer = self._take(run, Scan(), _SHARES[Scan] / schedule.scan_rounds)
                    if answer is not None:
                        run.add_scan(Key(self.groups, index), answer)

    def _take(self, run: VariantRun, step: Step, share: float = 0.0) -> Figures | None:
        """Lets a run take a step; returns None where it has failed, now or before."""
        if run.failure:
            return None
        answer = run.worker.run(step, lambda done, total: self._meter.show(share * done / max(total, STEPS)))
        if isinstance(answer, Failure):
            run.failure = answer.reason
            run.worker.close()
            return None
        run.add_memory(step, answer)
        self._meter.finish(share)
        return answer


def measure_sustained(
    runs: Sequence[VariantRun], seconds: float, meter: Meter, imposed: Imposed | None = None
) -> SustainedRun | Failure:
    """Runs the windows of the fastest variant for so many seconds, in a process of its own.

    Args:
        runs: the runs of the rounds; one at least did not fail.
        seconds: duration.
        meter: takes the progress, `TOTAL` steps.
        imposed: cores and memory of a device; None for this machine's own.

    Returns:
        The run; or why it failed, with the variant's name.
    """
    contender = min((run for run in runs if not run.failure), key=lambda run: run.median_seconds).contender
    with KeptWorker(Measuring(contender, imposed), hide_stderr=True) as worker:
        answer = worker.run(Start())
        if isinstance(answer, Figures):
            with TelemetrySampler(seconds) as sampler:
                answer = worker.run(Sustain(seconds), lambda done, total: meter.show(TOTAL * done / max(total, STEPS)))
            if isinstance(answer, Figures):
                meter.finish(TOTAL)
                watts, times = answer.energy.watts, answer.result
                joules = None if watts is None else watts * times.seconds  # the meter's block includes the warm-up
                return sustained_run(contender.label, times, joules, sampler.telemetry)
    return Failure(f"{contender.label}: {answer.reason}")


def _order(group: Sequence[VariantRun], index: int) -> Iterator[tuple[VariantRun, bool]]:
    """Yields the runs of a round, and whether each is the first one's repetition; every second round goes backwards."""
    turns = [(run, False) for run in group if not run.failure]
    if len(turns) > 1:
        turns.append((turns[0][0], True))
    return iter(turns[::-1] if index % 2 else turns)


def _fits(runs: Iterable[VariantRun]) -> bool:
    """Whether memory is left for another process like the largest so far, twice: it grows with a whole scan."""
    return free_memory() > 2 * max(run.peak for run in runs)
