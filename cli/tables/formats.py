"""The table of export formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...export.formats import ExportFormat


def format_table(formats: Sequence[ExportFormat]) -> Table:
    """Returns the formats as a table for people."""
    from rich.table import Table

    table = Table(title="Formats of a bundle", title_justify="left", box=None, pad_edge=False)
    table.add_column("engine", style="bold", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    for heading in ("model", "needs", "where", "this machine"):
        table.add_column(heading, overflow="fold")
    for row in formats:
        # Brackets of an extra would be rich's own markup.
        table.add_row(row.engine, row.precision, row.file, row.needs.replace("[", r"\["), row.runs_on, row.state)
    table.caption = "Every bundle has fp32; export writes the files of fp16 and int8 with --precision fp32,fp16,int8."
    table.caption_justify = "left"
    return table
