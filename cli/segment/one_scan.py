"""Segments one scan: writes its label map and, where asked for, the run's record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import ExitCode, UsageError
from ...runtime.scans.names import has_nifti_ending
from ..terminal.console import Console
from ..terminal.failure import failure_of
from .dicom_output import DicomOutput
from .job import SegmentJob
from .output import SEG_SUFFIX, check_output, check_record
from .report import as_json, summary, volumes_table
from .scan_input import ScanInput

if TYPE_CHECKING:
    from ...runtime.record import Outcome
    from ...runtime.segmenter import Segmenter


def segment_scan(
    job: SegmentJob,
    given: ScanInput,
    output: Path,
    record: Path | None,
    force: bool,
    console: Console,
    as_dicom: DicomOutput,
) -> ExitCode:
    """Segments one scan and returns the exit code, `ExitCode.REVIEW` where a person should look at the result.

    Args:
        job: the bundle and the options of the segmentation.
        given: the scan: a file, or a DICOM series.
        output: the label map to write.
        record: file for the run's record (JSON), written also where the scan is refused; None writes none.
        force: whether to replace files that are no label maps and no records.
        console: where results, warnings and progress go.
        as_dicom: how and what to write as DICOM.

    Raises:
        UsageError: two of the paths are the same, or an output cannot have this name.
        BedsideError: the scan or the bundle is refused, or the work failed.
    """
    from ...runtime.record import Outcome

    path = given.path
    if output.resolve() == path.resolve():
        raise UsageError("-i and -o are the same file; the label map would replace the scan")
    if record is not None and record.resolve() in (path.resolve(), output.resolve()):
        raise UsageError("--record needs a file of its own")
    is_seg = output.suffix == SEG_SUFFIX
    if path.is_dir() and not (is_seg or has_nifti_ending(output.name)):
        raise UsageError(
            f'"{path.name}" is a folder of DICOM files, of which one series is segmented, so -o must be a .nii, '
            f'.nii.gz or .dcm; got "{output.name}"'
        )
    as_dicom.check(path, output, force)
    check_output(output, force)
    if record is not None:
        check_record(record, force)
    outcome: Outcome | None = None
    with job.load() as segmenter, console.progress("segment") as advance:
        try:
            scan = given.open()
            afterwards = 0 if isinstance(scan, Path) else as_dicom.bytes(scan, output)
            with segmenter.reserve(scan, job.options, afterwards=afterwards) as reserved:
                if not isinstance(scan, Path):
                    as_dicom.check_series(scan, segmenter, output)
                digest = None if record is None else reserved.sha256()
                result = reserved.run(advance)
                if isinstance(scan, Path):
                    result.save(output)
                else:
                    as_dicom.write_label_map(result, scan, segmenter, output)
                if record is not None:
                    outcome = Outcome.written(digest, output, result)
                if not isinstance(scan, Path):
                    as_dicom.write_beside(result, scan, segmenter, output)
        except Exception as error:
            if record is not None:
                failure = failure_of(error)
                message = as_dicom.without_names(failure.message, output)
                _save_record(record, job, segmenter, Outcome.failed(path, message, failure.code, outcome))
            raise
        if record is not None and outcome is not None:
            _save_record(record, job, segmenter, outcome)
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

    RunRecord(
        setup=Setup.of(segmenter.bundle, job.for_record()),
        machine=Machine.this(),
        threads=job.engine.threads,
        choice=segmenter.choice,
        outcome=outcome,
    ).save(path)
