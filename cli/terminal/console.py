"""A command's output: text and progress to stderr, results to stdout, as one JSON object with --json."""

from __future__ import annotations

import codecs
import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from ...runtime.errors import ResourceError

if TYPE_CHECKING:
    from rich.table import Table

_SPEED_SECONDS = 3600.0  # the time left is estimated from these: a training step may take minutes, a validation more

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no text; errors still show.")]


class Advance(Protocol):
    """Reports progress: how many steps are done, of how many, and a note such as the current loss."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Moves the bar to ``done`` of ``total``."""
        ...


@dataclass(frozen=True)
class Console:
    """Writes a command's output to the right place.

    Attributes:
        json: the result goes to stdout as one JSON object; tables are left out.
        quiet: neither progress nor text.
    """

    json: JsonOption = False
    quiet: QuietOption = False
    _finished: list[str] = field(default_factory=list[str], init=False, repr=False)

    def finished(self, what: str) -> None:
        """Records finished work, such as ``the label map "a.nii.gz" is written``, for the error if stdout fails."""
        self._finished.append(what)

    def info(self, text: str) -> None:
        """Writes a line for people to stderr."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Writes a warning to stderr, also when quiet."""
        print(f"bedside: warning: {text}", file=sys.stderr, flush=True)

    def show(self, *parts: str | Table) -> None:
        """Writes the result for people (text or tables) to stdout, unless it goes there as JSON.

        Raises:
            ResourceError: stdout cannot be written, for want of disk space say.
        """
        if self.json or self.quiet:
            return
        from .result_console import ResultConsole

        with self._printing():
            console = ResultConsole()
            for part in parts:
                # The terminal wraps long lines: a path with a line break in it could not be copied.
                console.print(part, soft_wrap=True) if isinstance(part, str) else console.print(part)

    def emit(self, result: dict[str, Any]) -> None:
        """Prints the result as one JSON object on stdout if the caller asked for JSON.

        Raises:
            ResourceError: stdout cannot be written, for want of disk space say.
        """
        if self.json:
            with self._printing():
                print(_as_json(result, sys.stdout.encoding or "utf-8"), flush=True)

    @contextmanager
    def _printing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            done = "".join(f"{what}; " for what in self._finished)
            raise ResourceError(
                f"{done}{'only ' if done else ''}the result could not be printed: stdout cannot be written ({reason}); "
                "redirect it to a disk with free space"
            ) from error

    @contextmanager
    def progress(self, description: str) -> Generator[Advance]:
        """Shows a progress bar on stderr while the block runs; the block moves it with the yielded callable."""
        with self.stages(description) as (advance,):
            yield advance

    @contextmanager
    def stages(self, *descriptions: str) -> Generator[tuple[Advance, ...]]:
        """Shows one progress bar per stage of a longer job; a bar appears when its stage first moves."""
        if self.quiet or not sys.stderr.isatty():
            yield tuple(_PlainBar(description, self.quiet).advance for description in descriptions)
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
            TextColumn("left"),
            TextColumn("{task.fields[note]}", markup=False),
        )
        console = RichConsole(file=sys.stderr)
        with Progress(*columns, console=console, speed_estimate_period=_SPEED_SECONDS) as bar:

            def stage(description: str) -> Advance:
                task = bar.add_task(description, start=False, visible=False, total=None, note="")
                started = False

                def advance(done: int, total: int, note: str = "") -> None:
                    nonlocal started
                    if not started:
                        bar.start_task(task)
                        started = True
                    bar.update(task, completed=done, total=total, note=note, visible=True)

                return advance

            yield tuple(stage(description) for description in descriptions)


def _as_json(result: dict[str, Any], encoding: str) -> str:
    """Returns JSON that is UTF-8 on a UTF-8 stream and ASCII with escapes on any other, so that nothing is lost."""
    if codecs.lookup(encoding).name == "utf-8":
        text = json.dumps(result, ensure_ascii=False, allow_nan=False)
        with suppress(UnicodeEncodeError):  # a file's name that is no UTF-8
            text.encode("utf-8")
            return text
    return json.dumps(result, ensure_ascii=True, allow_nan=False)


class _PlainBar:
    """Progress for log files: one line per tenth of the steps, with the time left."""

    def __init__(self, description: str, quiet: bool) -> None:
        self._description = description
        self._quiet = quiet
        self._shown = -1
        self._start: tuple[float, int] | None = None

    def advance(self, done: int, total: int, note: str = "") -> None:
        self._start = self._start or (time.monotonic(), done)
        tenth = 10 * done // total if total else 10
        if self._quiet or tenth <= self._shown:
            return
        self._shown = tenth
        since, first = self._start
        elapsed = time.monotonic() - since
        left = f", {elapsed / (done - first) * (total - done):.0f} s left" if first < done < total else ""
        words = f"{self._description}: {done} of {total}, {elapsed:.0f} s{left}"
        print(f"{words}, {note}" if note else words, file=sys.stderr, flush=True)
