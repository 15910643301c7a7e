"""`bedside dataset seen`: which scans a network has learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ...runtime.scans.names import joined_names
from ..options.paths import input_argument, input_option
from ..terminal.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from ...training.runs.seen_files import SeenFiles


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Say which scans a network has learned from, or was chosen by: of these its Dice is too high.

    Runs, and bundles unless they were exported with --no-scan-hashes, record the SHA-256 of each scan file, those of
    teachers and earlier weights too. A scan that was saved anew is another file, and is not recognised. Exit code 6: a
    network has seen a file, or does not record every scan; 0: none has.

    Example: bedside dataset seen patients/ --by student.bedside
    """

    scans: Annotated[
        list[Path],
        input_argument(
            help="Folders, whose NIfTI files count with those in their subfolders, or scans.", show_default=False
        ),
    ]
    by: Annotated[
        list[Path],
        input_option("--by", help="Run directory or bundle; may be given several times.", show_default=False),
    ]
    console: Console

    def __call__(self) -> int:
        """Compares the files and returns the exit code."""
        import msgspec

        from ...runtime.errors import printable
        from ...training.runs.held_out import learned_by
        from ...training.runs.seen_files import find_seen

        found = find_seen(self.scans, learned_by(self.by))
        lines = [printable(line) for line in _verdict(found)]
        self.console.show(*([_table(found)] if found.seen else []), *lines)
        if self.console.json or self.console.quiet:
            for line in lines if found.exit_code else ():
                self.console.warn(line)
        self.console.emit({**msgspec.to_builtins(found), "exit_code": int(found.exit_code)})
        return int(found.exit_code)


def _table(found: SeenFiles) -> Table:
    from rich.table import Table

    from ...runtime.errors import printable

    table = Table("file", "taught", "chose", title="Scans that a network has seen", title_justify="left")
    for each in found.seen:
        table.add_row(*map(printable, (each.file, ", ".join(each.taught), ", ".join(each.chose))))
    return table


def _verdict(found: SeenFiles) -> list[str]:
    if found.seen:
        lines = [f"{len(found.seen)} of {found.files} files were seen: their Dice says nothing about new scans"]
    else:
        lines = [f"none of {found.files} files is among those that {joined_names(found.networks)} records"]
    if found.incomplete:
        lines.append(
            f"{joined_names(found.incomplete)} does not record every scan that it or what taught it learned from: "
            "more may have been seen"
        )
    return lines
