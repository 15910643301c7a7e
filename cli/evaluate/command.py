"""`bedside evaluate`: scores predicted label maps against the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.bundles.outputs import check_writable
from ...runtime.errors import ExitCode, UsageError
from ..options.paths import input_option, output_option
from ..terminal.console import Console
from .pairs import find_pairs, label_names

if TYPE_CHECKING:
    from ...training.scores.evaluation import Evaluation
    from ...training.scores.score_table import ScoreTable


class CaseList(str, Enum):
    """A data set's lists."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score label maps against the truth: Dice, normalised surface Dice (NSD) and HD95 per organ.

    Cases without an organ are left out of its means. A missed organ has Dice 0 and NSD 0; HD95 has no value there,
    and its mean says how many were missed.

    Example: bedside evaluate -p predicted/ -t data/dataset.json --csv student.csv --compare baseline.csv
    """

    prediction: Annotated[Path, input_option("--prediction", "-p", help="A label map, or a folder of them.")]
    truth: Annotated[
        Path | None, input_option("--truth", "-t", help="The true label map, a folder of them, or a data set.")
    ] = None
    dataset: Annotated[Path | None, input_option("--dataset", help="A data set that holds the truth.")] = None
    cases: Annotated[
        CaseList | None,
        typer.Option("--list", help="Which cases of the data set.", show_default="test, if it has label maps"),
    ] = None
    tolerance: Annotated[float, typer.Option("--tolerance", min=0.0, help="Tolerance of the NSD in mm.")] = 1.0
    task: Annotated[str | None, typer.Option("--task", help="Preset or TOML file that names the labels.")] = None
    labels: Annotated[str | None, typer.Option("--labels", help="Names of labels 1, 2, … with commas.")] = None
    ignore_label: Annotated[
        int | None,
        typer.Option(
            "--ignore-label",
            min=1,
            max=65_535,
            show_default="the data set's, if it has one",
            help="Value in the truth of voxels that scores leave out.",
        ),
    ] = None
    csv_file: Annotated[Path | None, output_option("--csv", help="Also write every score to this file.")] = None
    other: Annotated[
        Path | None, input_option("--compare", help="Another model's --csv: Wilcoxon's signed-rank test against it.")
    ] = None
    common: Annotated[bool, typer.Option("--common", help="Compare only the cases that both have.")] = False
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Folders: cases scored at the same time.", show_default="1")
    ] = None
    console: Console

    def __call__(self) -> ExitCode:
        """Scores, writes, shows and compares the label maps; `ExitCode.REVIEW` where the truth has no organ at all."""
        console = self.console
        names = self._checked_names()
        found = find_pairs(
            self.prediction, self.truth, self.dataset, self.cases and self.cases.value, names, self.ignore_label
        )
        from ...training.scores.comparison import check_cases, check_tolerance
        from ...training.scores.pairing import unpaired_predictions
        from ...training.scores.score_table import SCORES_MARKS, read_scores, write_scores
        from .scoring import score_pairs

        baseline = read_scores(self.other) if self.other is not None else None
        if baseline is not None:  # refused before the work, not after it
            check_tolerance(self.tolerance, baseline)
            check_cases([pair.name for pair in found.pairs], baseline, common=self.common)
        unused = unpaired_predictions(self.prediction, found.pairs) if self.prediction.is_dir() else []
        if self.csv_file is not None:
            check_writable(self.csv_file, ".csv", marks=SCORES_MARKS)
        if found.list_name is not None:
            console.info(f"the test list has no label map: these are the cases of the {found.list_name} list")
        if unused:
            console.warn(
                f"{len(unused)} of the files in {self.prediction.name} belong to no case of the truth: left out"
            )
        with console.progress("evaluate") as advance:
            evaluation = score_pairs(found.pairs, found.labels, self.tolerance, self.workers or 1, advance)
        _print_remarks(console, evaluation)
        try:
            if self.csv_file is not None:
                write_scores(self.csv_file, evaluation)
                console.finished(f'the scores "{self.csv_file.name}" are written')
        finally:  # a file that cannot be written costs no result
            self._show(evaluation, baseline)
        return ExitCode.OK if any(organ.cases for organ in evaluation.organs) else ExitCode.REVIEW

    def _show(self, evaluation: Evaluation, baseline: ScoreTable | None) -> None:
        """Shows the scores, then their comparison, which may be refused."""
        from ...training.scores.comparison import compare
        from ...training.scores.score_table import table_of
        from .as_json import as_json
        from .tables import comparison_tables, score_table

        console = self.console
        console.show(score_table(evaluation))
        comparison = None
        try:
            if baseline is not None and self.other is not None:
                comparison = compare(table_of(evaluation), baseline, common=self.common)
                console.show(*comparison_tables(comparison, self.other.name))
        finally:
            console.emit(as_json(evaluation, comparison))

    def _checked_names(self) -> tuple[str, ...] | None:
        """Checks the options against each other and returns the label names that they give."""
        if not math.isfinite(self.tolerance):
            raise UsageError(f"evaluate: --tolerance is a number of mm, got {self.tolerance}")
        if self.csv_file is not None and self.other is not None and self.csv_file.resolve() == self.other.resolve():
            raise UsageError("evaluate: --csv would replace the scores that --compare reads; give it a name of its own")
        if self.common and self.other is None:
            raise UsageError("evaluate: --common goes with --compare")
        names = label_names(self.task, self.labels)
        if self.workers is not None and self.prediction.is_file():
            raise UsageError("evaluate: --workers goes with a folder of predictions; this is one prediction")
        return names


def _print_remarks(console: Console, evaluation: Evaluation) -> None:
    """Prints the share of ignored voxels, predictions on other axes, and warnings about what makes scores void."""
    reoriented, identical, count = len(evaluation.reoriented), len(evaluation.identical), len(evaluation.cases)
    if evaluation.ignored:
        console.info(f"the truth ignores {100 * evaluation.ignored:.2g} % of the voxels, which scores leave out")
    if reoriented:
        console.info(
            f"{reoriented} of {count} predictions are stored along other axes than the truth: compared in place"
        )
    if identical:
        console.warn(
            f"{identical} of {count} predictions are the truth's own file, or have its bytes; are -p and -t right?"
        )
    if not any(organ.cases for organ in evaluation.organs):
        console.warn("the truth contains no organ in any case, so there are no scores; is it the label map?")
