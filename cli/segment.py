"""`bedside segment`: one scan to one label map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..runtime.errors import ExitCode, UsageError
from .console import Console, JsonOption, QuietOption

if TYPE_CHECKING:
    from rich.table import Table

    from ..runtime.result import Result


def command(
    bundle: Annotated[Path, typer.Argument(help="Bundle directory or zip.", show_default=False)],
    scan: Annotated[Path, typer.Option("--input", "-i", help="CT or MR, .nii or .nii.gz.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Label map to write.", show_default=False)],
    engine: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or int8; auto is fp32.")] = "auto",
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of windows, 0 to below 1.", show_default="the bundle's")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.", show_default="all")] = None,
    memory_limit: Annotated[
        int | None, typer.Option(help="MiB this process may take; a scan that needs more is refused before it starts.")
    ] = None,
    no_skip_air: Annotated[bool, typer.Option("--no-skip-air", help="Also run windows without body.")] = False,
    volume: Annotated[int | None, typer.Option(help="Which volume of a 4D file, from 0.")] = None,
    replace_nan: Annotated[float | None, typer.Option(help="Value put in place of NaN and infinity; exit 6.")] = None,
    use_sform: Annotated[bool, typer.Option("--use-sform", help="Believe the sform where both disagree.")] = False,
    use_qform: Annotated[bool, typer.Option("--use-qform", help="Believe the qform where both disagree.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Segment a scan with a bundle; the label map lies on the scan's own grid.

    Exit code 6: written, but a person should look (empty result, replaced NaN, unusual intensities).

    Example: bedside segment demo/student.bedside -i ct.nii.gz -o labels.nii.gz
    """
    if use_sform and use_qform:
        raise UsageError("--use-sform and --use-qform exclude each other; give one")
    prefer: Literal["sform", "qform"] | None = "sform" if use_sform else "qform" if use_qform else None

    from ..runtime.nifti import check_output_name
    from ..runtime.segmenter import Segmenter

    check_output_name(output)
    if output.resolve() == scan.resolve():
        raise UsageError("-i and -o are the same file; the label map would replace the scan")
    console = Console(json=json, quiet=quiet)
    limit = None if memory_limit is None else memory_limit * 2**20
    with Segmenter.load(bundle, engine, precision, threads, limit) as segmenter, console.progress("segment") as advance:
        result = segmenter.segment(
            scan,
            overlap,
            not no_skip_air,
            progress=advance,
            volume=volume,
            replace_nan=replace_nan,
            prefer=prefer,
        )
    result.save(output)
    for warning in result.warnings:
        console.warn(warning)
    console.show(_volumes(result), _summary(result))
    console.emit(_as_json(result))
    if result.needs_review:
        raise typer.Exit(ExitCode.REVIEW)


def _volumes(result: Result) -> Table:
    from rich.table import Table

    table = Table("label", "ml", title="Volumes")
    table.columns[1].justify = "right"
    for label, millilitres in result.volumes_ml.items():
        table.add_row(label, f"{millilitres:.1f}")
    return table


def _summary(result: Result) -> str:
    seconds = sum(result.timings.values()) / 1000
    stages = ", ".join(f"{stage} {milliseconds / 1000:.2f}" for stage, milliseconds in result.timings.items())
    return (
        f"{result.windows} windows run, {result.windows_skipped} of air skipped; {result.engine} {result.precision}; "
        f"{seconds:.2f} s ({stages})"
    )


def _as_json(result: Result) -> dict[str, object]:
    return {
        "volumes_ml": dict(result.volumes_ml),
        "timings_ms": dict(result.timings),
        "warnings": list(result.warnings),
        "needs_review": result.needs_review,
        "engine": result.engine,
        "precision": result.precision,
        "windows": result.windows,
        "windows_skipped": result.windows_skipped,
        "shape": list(result.labels.shape),
    }
