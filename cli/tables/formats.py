"""The table of export formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...export.formats import ExportFormat


def format_tables(formats: Sequence[ExportFormat]) -> list[Table]:
    """Returns two tables for people: engine and precision with model and state here; engine with needs and devices."""
    from rich.table import Table

    models = Table(title="Formats of a bundle", title_justify="left", box=None, pad_edge=False)
    for heading in ("engine", "precision", "model", "this machine"):
        models.add_column(heading, no_wrap=heading != "this machine")
    for row in formats:
        models.add_row(row.engine, row.precision, row.file, row.state)
    models.caption = "Every bundle has fp32; --precision fp32,fp16,int8,uint8,int8-fp16 adds the other models."
    models.caption_justify = "left"
    engines = Table(title="\nEngines", title_justify="left", box=None, pad_edge=False)
    for heading in ("engine", "needs", "runs on"):
        engines.add_column(heading, no_wrap=heading != "runs on")
    for name, needs, runs_on in dict.fromkeys((row.engine, row.needs, row.runs_on) for row in formats):
        engines.add_row(name, needs, runs_on)
    return [models, engines]
