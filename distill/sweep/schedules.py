"""Whether the trainings of a sweep follow one schedule of the learning rate, which ends with a run's epochs."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.errors import UsageError
from ...runtime.scans.names import joined_names
from ...training.runs.run import Run
from .plan import SweepRun


def check_schedules(runs: Sequence[SweepRun], epochs: int | None) -> None:
    """Checks, before anything trains, that no run will follow another schedule than the others.

    A run that is made longer follows its first schedule to the epoch that it had reached, and a longer one from there
    on. So all runs are made longer from one epoch, their last, and none begins with the longer schedule.

    Args:
        runs: the runs.
        epochs: number of epochs to reach; None: the runs' own.

    Raises:
        UsageError: a run would follow another schedule.
    """
    begun = {run.name: Run.open(run.path).config for run in runs if run.started}
    new = [run.name for run in runs if run.name not in begun]
    longer = [run for run in runs if run.name in begun and begun[run.name].recipe.epochs < (epochs or 0)]
    others = [*(run.name for run in longer if not run.finished()), *new]
    if len(runs) > 1 and longer and others:
        planned = begun[longer[0].name].recipe.epochs
        raise UsageError(
            "runs are made longer when all have ended, so that they follow one schedule of the learning rate, and not "
            f"all have: {joined_names(others)}; give --epochs {planned} first, then --epochs {epochs}"
        )
    if new and (lengthened := [name for name, config in begun.items() if config.lengthened]):
        raise UsageError(
            f'"{lengthened[0]}" was made longer, and a new run would follow another schedule of the learning rate: '
            f"leave {joined_names(new)} out, or train all of them with another -o"
        )


def schedule_doubts(runs: Sequence[SweepRun]) -> tuple[str, ...]:
    """Returns why finished runs do not compare λ alone: a line if they followed different schedules, else none."""
    lengthened = {run.name: Run.open(run.path).config.lengthened for run in runs}
    if len(set(lengthened.values())) < 2:
        return ()
    longer = [name for name, steps in lengthened.items() if steps]
    return (
        f"not all runs followed one schedule of the learning rate: {joined_names(longer)} went on from shorter ones, "
        "and differences of Dice may come from that",
    )
