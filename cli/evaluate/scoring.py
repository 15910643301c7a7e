"""Scores all cases in one or several processes: scores and reported errors do not depend on their number."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from ...runtime.errors import ExitCode
from ...runtime.log import log_failure
from ...training.scores.evaluation import Evaluation, evaluate_pairs
from ...training.scores.pairing import Pair
from ...training.scores.scored_case import ScoredCase, score_pair
from ..terminal.failure import Failure, failure_of

if TYPE_CHECKING:
    from ...runtime.hooks import Progress


@dataclass(frozen=True)
class _Scoring:
    """Scores one pair in a worker; a refused case does not end the work, because an earlier one may be refused too."""

    labels: tuple[str, ...] | None
    tolerance_mm: float
    cleans_up: ClassVar[bool] = False  # it only reads: nothing to remove
    advice: ClassVar[str] = "take fewer --workers"

    @contextmanager
    def ready(self) -> Generator[Callable[[Pair, Progress], ScoredCase | Failure]]:
        yield lambda pair, progress: self._outcome(pair)

    def failed(self, item: Pair, reason: str) -> Failure:
        return Failure(f'case "{item.name}": {reason}', ExitCode.RESOURCE)

    def _outcome(self, pair: Pair) -> ScoredCase | Failure:
        try:
            return score_pair(pair, self.labels, self.tolerance_mm)
        except Exception as error:
            log_failure("a case failed", error)
            return failure_of(error)


def score_pairs(
    pairs: Sequence[Pair],
    labels: tuple[str, ...] | None,
    tolerance_mm: float,
    workers: int,
    progress: Callable[[int, int], None],
) -> Evaluation:
    """Scores every pair.

    Args:
        pairs: predictions with their truths.
        labels: index → name; None names labels by their number.
        tolerance_mm: tolerance of the NSD in mm.
        workers: number of processes.
        progress: called with (cases done, cases in total).

    Raises:
        BedsideError: the first case in the order of ``pairs`` that is refused, whatever the number of processes.
    """
    workers = min(workers, len(pairs))
    if workers == 1:
        return evaluate_pairs(pairs, labels, tolerance_mm, progress)
    from ...processes.worker_pool import run_in_workers

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
