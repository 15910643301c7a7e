"""`bedside segment`: one scan to one label map, or a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...runtime.errors import ExitCode, UsageError
from ...runtime.scans.names import is_nifti
from ..options.machine import ThreadsOption
from ..options.outputs import check_writable
from ..options.paths import bundle_argument, input_option, output_option
from ..options.postprocessing import (
    LargestComponentOption,
    MinVolumeOption,
    NoPostprocessingOption,
    WithinBodyOption,
    postprocessing_of,
)
from ..terminal.console import Console, JsonOption, QuietOption
from ..terminal.failure import failure_of
from .job import SegmentJob
from .report import as_json, summary, volumes_table

if TYPE_CHECKING:
    from ...runtime.record import Outcome
    from ...runtime.segmenter import Segmenter


def command(
    bundle: Annotated[Path, bundle_argument(help="Bundle directory or zip.", show_default=False)],
    scan: Annotated[
        Path, input_option("--input", "-i", help="CT or MR, .nii or .nii.gz; or a folder of them.", show_default=False)
    ],
    output: Annotated[
        Path, output_option("--output", "-o", help="Label map to write; or a folder.", show_default=False)
    ],
    engine: Annotated[str, typer.Option(help="auto, openvino or onnxruntime; auto is the faster here.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16, int8 or int8-bf16; auto: fastest that passed the gate.")
    ] = "auto",
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of windows, 0 to below 1.", show_default="the bundle's")
    ] = None,
    threads: ThreadsOption = None,
    memory_limit: Annotated[
        int | None,
        typer.Option(min=1, help="MiB a process may take; a scan that needs more is refused before it starts."),
    ] = None,
    no_skip_air: Annotated[bool, typer.Option("--no-skip-air", help="Also run windows without body.")] = False,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of a 4D file, from 0.")] = None,
    replace_nan: Annotated[float | None, typer.Option(help="Value put in place of NaN and infinity; exit 6.")] = None,
    use_sform: Annotated[
        bool, typer.Option("--use-sform", help="Believe the sform, whatever qform and pixdim say.")
    ] = False,
    use_qform: Annotated[
        bool, typer.Option("--use-qform", help="Believe the qform, unless the sform is sheared.")
    ] = False,
    largest_component: LargestComponentOption = None,
    min_volume: MinVolumeOption = None,
    within_body: WithinBodyOption = False,
    no_postprocessing: NoPostprocessingOption = False,
    record: Annotated[
        Path | None, output_option(help="Also write the run's record (JSON: hashes, versions, timings, exit code).")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Folder: processes that share the threads.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also replace what is there: label maps of a folder, any file as output.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Segment a scan with a bundle; the label map lies on the scan's own grid.

    With a folder, every .nii and .nii.gz directly in it gives a .nii.gz of the same name in the output folder; with a
    folder for each patient, each gives one of the folder's name. segment.json there keeps the record. Called again, it
    goes on where it stopped. The exit code is that of the worst case: 1 before 5 before 3 before 6 before 0.

    A scan with a gantry tilt is straightened for the network; its label map lies on the scan's own sheared grid.

    Exit code 6: written, but a person should look (empty result, replaced NaN, unusual intensities).

    Post-processing is what the bundle says, unless an option here asks for another or for none.

    Example: bedside segment demo/student.bedside -i ct.nii.gz -o labels.nii.gz
    """
    _check_order(bundle, scan)
    if use_sform and use_qform:
        raise UsageError("--use-sform and --use-qform exclude each other; give one")
    prefer: Literal["sform", "qform"] | None = "sform" if use_sform else "qform" if use_qform else None
    job = SegmentJob(
        bundle=bundle,
        engine=engine,
        precision=precision,
        threads=threads,
        memory_limit=None if memory_limit is None else memory_limit * 2**20,
        overlap=overlap,
        skip_air=not no_skip_air,
        volume=volume,
        replace_nan=replace_nan,
        prefer=prefer,
        postprocessing=postprocessing_of(largest_component, min_volume, within_body, no_postprocessing),
    )
    console = Console(json=json, quiet=quiet)
    if not scan.is_dir():
        if workers is not None:
            raise UsageError("--workers goes with a folder of scans; this is one scan")
        code = _one(job, scan, output, record, force, console)
    else:
        if record is not None:
            raise UsageError("--record goes with one scan; the record of a folder is segment.json in the output folder")
        from .folder import segment_folder

        code = segment_folder(job, scan, output, workers or 1, force, console)
    if code:
        raise typer.Exit(code)


def _check_order(bundle: Path, scan: Path) -> None:
    """Raises a `UsageError` if bundle and scan are swapped, before either is refused as invalid."""
    if (scan.is_dir() and (scan / "bundle.json").is_file()) or is_nifti(bundle.name):
        raise UsageError(
            f'expected a bundle first and a scan after -i, got "{bundle.name}" first and "{scan.name}" after -i; '
            "write: bedside segment BUNDLE -i SCAN -o LABELS"
        )


def _one(job: SegmentJob, scan: Path, output: Path, record: Path | None, force: bool, console: Console) -> ExitCode:
    from .output import check_output

    if output.resolve() == scan.resolve():
        raise UsageError("-i and -o are the same file; the label map would replace the scan")
    if record is not None and record.resolve() in (scan.resolve(), output.resolve()):
        raise UsageError("--record needs a file of its own")
    check_output(output, force)
    if record is not None:
        check_writable(record, ".json")
    with job.load() as segmenter, console.progress("segment") as advance:
        try:
            result = job.segment(segmenter, scan, advance)
            result.save(output)
        except Exception as error:
            if record is not None:
                from ...runtime.record import Outcome

                failure = failure_of(error)
                told = failure.message.replace(f'"{output.name}"', "the label map")  # a name may be a person's
                _save_record(record, job, segmenter, Outcome.failed(scan, told, failure.code))
            raise
        if record is not None:
            from ...runtime.record import Outcome

            _save_record(record, job, segmenter, Outcome.written(scan, output, result))
    console.finished(f'the label map "{output.name}" is written')
    for warning in result.warnings:
        console.warn(warning)
    for note in result.notes:
        console.info(note)
    console.show(volumes_table(result), summary(result))
    console.emit(as_json(result, segmenter.choice))
    return ExitCode.REVIEW if result.needs_review else ExitCode.OK


def _save_record(path: Path, job: SegmentJob, segmenter: Segmenter, outcome: Outcome) -> None:
    from ...runtime.record import Machine, RunRecord, Setup

    setup = Setup.of(segmenter.bundle, job.options)
    done = RunRecord(setup=setup, machine=Machine.this(), threads=job.threads, choice=segmenter.choice, outcome=outcome)
    done.save(path)
