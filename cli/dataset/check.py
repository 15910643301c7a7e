"""`bedside dataset check`: checks a data set before a network is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from ..options.dataset import DatasetArgument
from ..terminal.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from ...runtime.task import Task
    from ...training.data.case_check import CaseFacts
    from ...training.data.dataset_check import DatasetCheck


@dataclass(frozen=True, kw_only=True)
class Check:
    """Name every case that training would refuse, and every one that should be reviewed.

    Every case is read and preprocessed as training would, none is changed and nothing is written. Exit code 3: a case
    is broken; 6: warnings only; 0: nothing to say.

    Example: bedside dataset check data/ --task btcv --workers 4
    """

    dataset: DatasetArgument
    task: Annotated[
        str | None,
        typer.Option("--task", help="Preset or TOML file; without one, files, geometry, values and labels alone."),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option("--fold", min=0, help="Use this fold's training and validation cases."),
    ] = None
    workers: Annotated[int, typer.Option("--workers", min=1, help="Cases read at the same time.")] = 1
    console: Console

    def __call__(self) -> int:
        """Checks the data set and returns the exit code."""
        console = self.console
        import msgspec

        from ...runtime.task_presets import load_task
        from ...training.data.dataset_check import check_dataset

        wanted = load_task(self.task) if self.task is not None else None
        with console.progress("checking cases") as advance:
            found = check_dataset(self.dataset, wanted, fold=self.fold, workers=self.workers, progress=advance)
        tables = [_facts_table(found, wanted), _label_table(found), *_case_table(found)]
        remarks = [_printable(line) for line in (*found.problems, *found.warnings)]
        console.show(*tables, *map(_printable, found.notes), *remarks, _verdict(found))
        if console.json or console.quiet:
            for line in (*remarks, *(": ".join(row[::2]) for row in _rows(found))):
                console.warn(line)
        console.emit({**msgspec.to_builtins(found, str_keys=True), "exit_code": int(found.exit_code)})
        return int(found.exit_code)


def _verdict(found: DatasetCheck) -> str:
    count = len(found.cases)
    broken = sum(bool(case.problems) for case in found.cases)
    odd = sum(bool(case.warnings) and not case.problems for case in found.cases)
    if not broken and not found.problems:
        advice = f"; {odd} should be reviewed" if odd else ""
        return f"{count} of {count} cases can be used{advice}"
    if found.problems:
        also = f"; {broken} of {count} cases are broken too" if broken else ""
        return f"data set and task do not match{also}"
    return f"{count - broken} of {count} cases can be used, {broken} are broken: repair or unlist them"


def _rows(found: DatasetCheck) -> list[tuple[str, str, str]]:
    """Returns (case, list, message) for every problem and warning of a single case, problems first."""
    broken = [(case.name, case.lists[0], text) for case in found.cases for text in case.problems]
    rows = broken + [(case.name, case.lists[0], text) for case in found.cases for text in case.warnings]
    return [(_printable(name), lists, _printable(text)) for name, lists, text in rows]


def _printable(text: str) -> str:
    """Replaces characters, as a file's name may have, that control a terminal or reverse the text direction."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _case_table(found: DatasetCheck) -> list[Table]:
    from rich.table import Table

    rows = _rows(found)
    if not rows:
        return []
    broken = sum(len(case.problems) for case in found.cases)
    table = Table("case", "list", "", "what", title="Cases to look at", title_justify="left")
    for number, (name, lists, text) in enumerate(rows):
        table.add_row(name, lists, "broken" if number < broken else "warning", text)
    return [table]


def _facts_table(found: DatasetCheck, task: Task | None) -> Table:
    from rich.table import Table

    from ...runtime.labels.sides import find_sides

    title = f"Data set {found.name}" + (f", task {found.task}" if found.task else "")
    table = Table("", "", title=title, title_justify="left", show_header=False)
    counts = [
        f"{sum(name in case.lists for case in found.cases)} {name}" for name in ("training", "validation", "test")
    ]
    if found.unlabelled:
        counts.append(f"{found.unlabelled} unlabelled (only compared)")
    table.add_row("layout", found.layout)
    table.add_row("cases", ", ".join(counts))
    facts = [case.facts for case in found.cases if case.facts is not None]
    if not facts:
        return table
    table.add_row("voxels", " × ".join(_range([each.shape[axis] for each in facts]) for axis in range(3)))
    spacing = " × ".join(_range([each.spacing[axis] for each in facts]) for axis in range(3)) + " mm"
    if task is not None:
        spacing += f"; the task works at {' × '.join(f'{step:g}' for step in task.spacing)} mm"
    table.add_row("spacing", spacing)
    table.add_row("values", f"{min(each.values[0] for each in facts):g} … {max(each.values[1] for each in facts):g}")
    if task is not None:
        table.add_row("in the body", _body_text(facts, task))
    sides = find_sides([label.name for label in found.labels])
    if sides.forbid_mirroring:
        table.add_row("sides", f"{sides.describe()}: left and right are not mirrored in training")
    if found.ignore is not None:
        share = f"{100 * found.ignore.share:.2g} % of the voxels are left out of loss and scores"
        table.add_row("ignored", f"label {found.ignore.value} is the ignore label: {share}")
    return table


def _body_text(facts: Sequence[CaseFacts], task: Task) -> str:
    """Compares the body's intensities with the task's range; every figure is the median over the cases."""
    bodies = [each.body for each in facts if each.body is not None]
    if not bodies:
        return "–"
    points = ((body.percentile_1, body.median, body.percentile_99) for body in bodies)
    percentiles = [median(values) for values in zip(*points, strict=True)]
    shares = "1 % below {:.0f}, median {:.0f}, 1 % above {:.0f}".format(*percentiles)
    below = [body.below_clip for body in bodies if body.below_clip is not None]
    above = [body.above_clip for body in bodies if body.above_clip is not None]
    if not below or not above:
        return f"{shares}; the task takes its range from each scan"
    low, high = task.intensity.clip
    return f"{shares}; the task's {low:g}…{high:g} cuts {_percent(below)} below and {_percent(above)} above"


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * median(shares):.1f} %"


def _label_table(found: DatasetCheck) -> Table:
    from rich.table import Table

    table = Table("label", title="Labels", title_justify="left")
    for heading in ("cases", "mean ml", "smallest", "largest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, label in enumerate(found.labels, start=1):
        volumes = (label.mean_ml, label.smallest_ml, label.largest_ml)
        shown = ("–" if value is None else f"{value:.1f}" for value in volumes)
        table.add_row(f"{number} {label.name}", str(label.cases), *shown)
    return table


def _range(values: Sequence[float], form: Callable[[float], str] = "{:.3g}".format) -> str:
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low}…{high}"
