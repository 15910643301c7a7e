"""Scoring all cases, in this process or in several: the same scores, and the same case that stops it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from ...runtime.errors import ExitCode
from ...training.scores.evaluation import Evaluation, evaluate_pairs
from ...training.scores.pairing import Pair
from ...training.scores.scored_case import ScoredCase, score_pair
from ..terminal.failure import Failure, failure_of
from ..terminal.log import log_failure

if TYPE_CHECKING:
    from ..processes.worker import Progress


@dataclass(frozen=True)
class _Scoring:
    """What each worker does; a case that is refused does not stop it, for one before it may be refused as well."""

    labels: tuple[str, ...] | None
    tolerance_mm: float
    unwinds: ClassVar[bool] = False  # it only reads

    @contextmanager
    def ready(self) -> Generator[Callable[[Pair, Progress], ScoredCase | Failure]]:
        yield lambda pair, progress: self._outcome(pair)

    def lost(self, item: Pair, why: str) -> Failure:
        return Failure(f'case "{item.name}": {why}', ExitCode.RESOURCE)

    def _outcome(self, pair: Pair) -> ScoredCase | Failure:
        try:
            return score_pair(pair, self.labels, self.tolerance_mm)
        except Exception as error:
            log_failure("a case failed", error)
            return failure_of(error)


def score_pairs(
    pairs: Sequence[Pair], labels: tuple[str, ...] | None, tolerance_mm: float, workers: int, progress: Progress
) -> Evaluation:
    """Scores every pair.

    Args:
        pairs: what to compare.
        labels: index → name; None calls labels by their number.
        tolerance_mm: of the NSD.
        workers: number of processes.
        progress: called with (cases done, cases in all).

    Raises:
        BedsideError: of the first case, in their order, that is refused, whatever the number of processes.
    """
    workers = min(workers, len(pairs))
    if workers == 1:
        return evaluate_pairs(pairs, labels, tolerance_mm, progress)
    from ..processes.pool import run_in_workers

    outcomes: dict[Pair, ScoredCase | Failure] = {}
    with closing(run_in_workers(_Scoring(labels, tolerance_mm), pairs, workers)) as scored:
        for done, (pair, outcome) in enumerate(scored, 1):
            outcomes[pair] = outcome
            without_gap = takewhile(lambda each: each is not None, map(outcomes.get, pairs))
            failure = next((each for each in without_gap if isinstance(each, Failure)), None)
            if failure is not None:
                raise failure.error()
            progress(done, len(pairs))
    cases = [outcome for outcome in map(outcomes.get, pairs) if isinstance(outcome, ScoredCase)]
    return Evaluation.of(cases, labels, tolerance_mm)
