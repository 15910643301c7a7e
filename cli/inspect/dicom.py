"""The series of a folder of DICOM files, as a table and as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...dicom import SeriesSummary


def series_table(found: Sequence[SeriesSummary]) -> Table:
    """Returns one row for each series."""
    from rich.table import Table

    table = Table(title="DICOM series", title_justify="left", box=None, pad_edge=False)
    for heading in ("series", "modality", "slices"):
        table.add_column(heading, no_wrap=True)
    table.add_column("voxels")
    table.add_column("mm")
    table.add_column("axes")
    table.add_column("no scan because", overflow="fold")
    for each in found:
        size = "×".join(str(edge) for edge in each.size or ())
        spacing = "×".join(f"{step:.4g}" for step in each.spacing or ())
        row = (each.modality, str(each.slices), size, spacing, each.orientation or "", each.problem)
        table.add_row(str(each.number), *row)
    return table


def series_facts(found: Sequence[SeriesSummary]) -> dict[str, object]:
    """Returns what ``--json`` prints."""
    import msgspec

    return {"series": msgspec.to_builtins(found)}
