"""Trains a student once per λ and seed, scores every run on held-out cases, and reports Dice over λ."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...processes.child import how_it_ended
from ...processes.cluster import Cluster
from ...runtime import arguments as checks
from ...runtime.errors import BedsideError, ExitCode, UsageError
from ...runtime.hooks import Progress
from ...training.data.case_cache import CASES_FOLDER
from ...training.data.dataset import Dataset
from ...training.runs.run import Run
from ...training.scores.score_table import ScoreTable
from .comparable import (
    check_comparable,
    check_imitated,
    check_precision_named,
    check_steps,
    networks_built_on,
    offsets_wanted,
)
from .plan import SweepRun, open_folder, plan_runs
from .report import write_report
from .results import SweepResults, collect_results
from .schedules import check_schedules, schedule_doubts
from .scored_cases import ScoredCases
from .trainings import Started, run_trainings

if TYPE_CHECKING:
    from .scoring import RunScorer

_log = logging.getLogger("bedside.distill")


class SweepFailedError(BedsideError):
    """Trainings of a sweep failed; the exit code is that of the first.

    Args:
        failed: name of each failed run → its exit code, or minus the number of the signal that killed it.
    """

    def __init__(self, failed: Mapping[str, int]) -> None:
        ends = "; ".join(f'"{name}" {how_it_ended(code, "use fewer --jobs")}' for name, code in failed.items())
        again = "" if {*failed.values()} == {ExitCode.USAGE} else "; add --resume to train them again"
        super().__init__(f"{ends}. Their own messages are above{again}")
        first = next(iter(failed.values()))
        self.exit_code = ExitCode(first) if first in set(ExitCode) else ExitCode.RESOURCE


def sweep_lambda(
    dataset: Dataset,
    out: Path,
    *,
    lambdas: Sequence[float],
    seeds: Sequence[int] = (0, 1, 2),
    arguments: Sequence[str],
    jobs: int = 1,
    resume: bool = False,
    epochs: int | None = None,
    device: str = "auto",
    started: Started | None = None,
    scoring: Progress | None = None,
    cluster: Cluster | None = None,
) -> SweepResults:
    """Trains a student once per λ and seed, scores the runs, and writes ``sweep.md``, ``sweep.csv`` and ``sweep.png``.

    Every training is a `bedside distill` command in a process of its own, with a run directory such as
    ``lambda-0.5_seed-0`` in ``out``. All share the prepared cases and the teachers' targets beside ``out``. A training
    that fails is left out. The scores of each run are in its ``scores.csv``, as `bedside evaluate --csv` writes them;
    they are computed again only if weights or cases have changed. Source: AutoSAM Adapter, Table 4 and Figure 4.

    Example:
        ``sweep_lambda(load_dataset("data"), Path("sweep"), lambdas=(0, 0.5, 1), arguments=["data", "--teacher",
        "runs/teacher", "--student", "unet-nano"])``

    Args:
        dataset: the data set that ``arguments`` name, with its validation cases set apart as there. Its test cases with
            labels are scored, or the validation cases if there are none.
        out: folder of the sweep; created if needed.
        lambdas: values of λ, 0…1, each once. The others are compared with 1, if that is among them.
        seeds: seeds of the trainings with each λ, each once.
        arguments: arguments of `bedside distill` that all trainings have: the data set, ``--teacher``, ``--student``
            and so on; ``--lambda``, ``--seed``, ``-o`` and ``--resume`` are added for each. With scans without labels,
            ``--steps-per-epoch`` too: λ = 1 draws no crops from these, and by default would make fewer steps. Without
            ``--precision auto``, by which each training would choose for itself.
        jobs: trainings at a time.
        resume: whether to go on in ``out``: finished runs are kept, interrupted ones go on. Where a run has finished, a
            process first checks ``arguments`` against it, as `bedside distill --resume` does. Where none has, the
            interrupted ones go on first, and no other begins if all of them refuse.
        epochs: number of epochs if ``arguments`` give it, so that shorter runs are made longer, when all have ended;
            None: those of the runs in ``out``, also for new ones.
        device: device that the students segment the scored cases on: "auto", "cpu" or "cuda".
        started: called when a training starts with (name of the run, its number from 1, trainings to run).
        scoring: called while the runs are scored with (cases done, cases in total over all runs).
        cluster: where to train in place of this machine, which scores the runs; see `run_trainings`.

    Returns:
        The figures, and the exit codes of the failed trainings.

    Raises:
        UsageError: an argument is out of range, ``out`` holds other things, there is nothing to score, the runs in
            ``out`` were made with different options, λ = 1 would make fewer steps than the others, λ = 1 is the only
            one and ``arguments`` say what teachers teach, the trainings are to choose their precision, or a run would
            follow another schedule of the learning rate than the others.
        InputError: a scan or label map of a scored case cannot be used.
        ResourceError: a file cannot be written.
        SweepFailedError: no training finished, or the check of ``arguments`` failed.
    """
    dataset = checks.instance("dataset", dataset, Dataset, "read one with load_dataset")
    out = checks.path("out", out)
    runs = plan_runs(out, lambdas, seeds)
    common = checks.names("arguments", arguments)
    jobs = checks.whole_number("jobs", jobs, low=1)
    resume = checks.flag("resume", resume)
    epochs = checks.optional(checks.whole_number, "epochs", epochs, 1)
    device = checks.text("device", device)
    checks.optional(checks.callback, "started", started, "name", "number", "total")
    checks.optional(checks.callback, "scoring", scoring, "done", "total")
    scored = ScoredCases.of(dataset)
    device = _scoring_device(device, cluster)
    check_precision_named(common)
    check_imitated(runs, common)
    check_steps(dataset, runs, common)
    open_folder(out, resume=resume)
    cases = out.resolve().parent / CASES_FOLDER
    begun = [run for run in runs if run.started]
    offsets = offsets_wanted(common, begun)
    named = [] if offsets is None else ["--class-offsets" if offsets else "--no-class-offsets"]
    if begun and epochs is None:  # those that begin now have as many
        named += ["--epochs", str(Run.open(begun[0].path).config.recipe.epochs)]
    shared = ("distill", "--cases", str(cases), *common, *named)  # the last value of an option counts
    asked = _check_options(runs, shared, epochs, offsets=bool(offsets))
    check_schedules(runs, epochs)
    missing = [run for run in runs if not run.finished(epochs, offsets=bool(offsets))]
    if len(missing) < len(runs):
        _log.info("%d of %d runs are finished already", len(runs) - len(missing), len(runs))
    if missing:
        _warn(scored.doubts(networks_built_on(runs, common), scored.check(dataset.labels)))
    # Where no finished run was asked, those that have begun say whether the options are theirs, before others begin.
    first = [] if asked else [run for run in missing if run.started]
    codes: dict[str, int] = {}
    for batch in filter(None, (first, [run for run in missing if run not in first])):
        commands = {run.name: run.arguments(shared, resume=resume) for run in batch}
        told = _counted(started, len(codes), len(missing))
        codes |= run_trainings(commands, jobs=jobs, started=told, cluster=cluster)
        if batch is first and set(codes.values()) == {ExitCode.USAGE}:
            raise UsageError(
                f'"{", ".join(codes)}" ended with exit code {ExitCode.USAGE}, see the message above: if the options '
                "differ, give the sweep those of its first call; if the loss diverged, begin anew with another -o"
            )
    failed = {name: code for name, code in codes.items() if code != ExitCode.OK}
    finished = [run for run in runs if run.name not in failed]
    if not finished:
        raise SweepFailedError(failed)
    check_comparable(finished)
    scorer = _scorer(scored, device)
    networks = [*(run.path for run in finished), *networks_built_on(runs, common)]
    doubts = scored.doubts(networks, scorer.images) + schedule_doubts(finished)
    _warn(doubts)
    results = collect_results(_scored(finished, scorer, scoring), scored.case_list, failed, doubts)
    write_report(out, results)
    return results


def _warn(doubts: Iterable[str]) -> None:
    for doubt in doubts:
        _log.warning("%s", doubt)


def _check_options(runs: Sequence[SweepRun], shared: Sequence[str], epochs: int | None, *, offsets: bool) -> bool:
    """Lets a finished run refuse options that are not those it was made with; `check_comparable` knows of the others.

    The run's own command does so: it has nothing left to train.

    Returns:
        Whether there is a finished run.
    """
    if begun := [run for run in runs if run.started]:
        check_comparable(begun, epochs, offsets=offsets)
    finished = [run for run in begun if run.finished(offsets=offsets)]
    if not finished:
        return False
    run = min(finished, key=lambda each: each.lam)  # with teachers, if any run has them
    planned = Run.open(run.path).config.recipe.epochs
    kept = ["--epochs", str(planned)] if (epochs or 0) > planned else []  # it is not made longer here
    words = [*run.arguments(shared, resume=True), *kept, "--device", "cpu"]  # it trains nothing
    code = run_trainings({run.name: words})[run.name]
    if code == ExitCode.USAGE:
        raise UsageError(
            f'"{run.name}" was made with different options, see the message above; give the sweep the options of its '
            "first call, or choose another -o"
        )
    if code != ExitCode.OK:
        raise SweepFailedError({run.name: code})
    return True


def _counted(started: Started | None, before: int, total: int) -> Started | None:
    """Returns a callback for a part of the trainings that counts them all."""
    return None if started is None else lambda name, number, _: started(name, before + number, total)


def _scoring_device(device: str, cluster: Cluster | None) -> str:
    """Returns the device that this process scores on, which is to be known before the trainings, not after them.

    A cluster's jobs may have a device that this machine lacks; then it takes what it has.

    Raises:
        UsageError: this machine has no such device, and the trainings run here.
    """
    if device.lower() in ("auto", "cpu"):  # every machine has these; torch need not lie in memory beside the trainings
        return device
    from ...training.loop.hardware import make_fabric

    try:
        make_fabric(device, "32-true")
    except UsageError:
        if cluster is None:
            raise
        return "auto"
    return device


def _scorer(scored: ScoredCases, device: str) -> RunScorer:
    from ...training.loop.hardware import make_fabric
    from .scoring import RunScorer

    if scored.case_list == "validation":
        _log.warning("no test case has a label map: the runs are scored on the validation cases, which chose them")
    return RunScorer.of(scored.cases, make_fabric(device, "32-true").device)


def _scored(
    runs: Sequence[SweepRun], scorer: RunScorer, progress: Progress | None
) -> dict[tuple[float, int], ScoreTable]:
    cases = len(scorer.cases)
    tables: dict[tuple[float, int], ScoreTable] = {}
    for number, run in enumerate(runs):
        before = number * cases

        def advance(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, len(runs) * cases)

        tables[run.lam, run.seed] = scorer.scores(run.path, advance)
        advance(cases, 0)
    return tables
