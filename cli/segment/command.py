"""`bedside segment`: one scan to one label map, or a folder of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import UsageError
from ...runtime.scans.names import has_nifti_ending
from ..options.cluster import ClusterOptions
from ..options.engine import device_option, engine_option, precision_option
from ..options.machine import ThreadsOption
from ..options.paths import bundle_argument, input_option, output_option
from ..options.postprocessing import PostprocessingOptions
from ..options.trust import TrustOption
from ..terminal.console import Console
from .dicom_output import DicomOutput
from .job import SegmentJob
from .output import SEG_SUFFIX
from .scan_input import ScanInput

if TYPE_CHECKING:
    from ...processes.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Segment a scan with a bundle; the label map lies on the scan's own grid.

    With a folder, every .nii and .nii.gz directly in it gives a .nii.gz of the same name in the output folder; with a
    folder for each patient, each gives one of the folder's name. segment.json there keeps the record. Called again, it
    goes on where it stopped; label maps of other scans, or changed since, are not replaced. The exit code is the worst
    of all scans; from the worst: 1, 5, 3, 6, 0.

    A folder of DICOM files is one series: the only one that is a scan, or that of --series. Its geometry comes from the
    slices' positions alone; missing, doubled or uneven slices are refused. With -o FILE.dcm the label map is a DICOM
    segmentation of that series; --sr adds a report of the volumes, --rtstruct contours for radiotherapy.

    A scan with a gantry tilt is straightened for the network; its label map lies on the scan's own sheared grid.

    Exit code 6: written, but a person should look (empty result, replaced NaN, unusual intensities).

    With --cluster slurm, a folder is divided among --workers jobs of --threads CPUs each; name engine and precision, so
    that every machine computes the same label maps. Jobs run on the CPU unless --device names another device. The
    bundle, the scans and the output folder have to be on a file system that all machines share.

    Post-processing is what the bundle says, unless an option here asks for another or for none.

    Example: bedside segment demo/student.bedside -i ct.nii.gz -o labels.nii.gz
    """

    bundle: Annotated[Path, bundle_argument(help="Bundle directory or zip.", show_default=False)]
    scan: Annotated[
        Path,
        input_option(
            "--input",
            "-i",
            help="CT or MR, .nii or .nii.gz, or a folder of them; or a DICOM series.",
            show_default=False,
        ),
    ]
    output: Annotated[
        Path,
        output_option(
            "--output",
            "-o",
            help="Label map to write, .nii or .nii.gz; of a DICOM series also .dcm (SEG); or a folder.",
            show_default=False,
        ),
    ]
    engine: Annotated[str, engine_option(help="auto (the fastest here), or the name of an engine.")] = "auto"
    precision: Annotated[
        str,
        precision_option(
            help="fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16, or auto: the fastest that passed the gate."
        ),
    ] = "auto"
    device: Annotated[
        str,
        device_option(
            help="auto (the fastest here; with --cluster CPU), CPU, GPU, …; bedside devices lists them for each engine."
        ),
    ] = "auto"
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of windows, 0 to below 1.", show_default="the bundle's")
    ] = None
    trust: TrustOption = None
    threads: ThreadsOption = None
    memory_limit: Annotated[
        int | None,
        typer.Option(min=1, help="MiB a process may take; a scan that needs more is refused before it starts."),
    ] = None
    no_skip_air: Annotated[bool, typer.Option("--no-skip-air", help="Also run windows without body.")] = False
    no_locator: Annotated[
        bool, typer.Option("--no-locator", help="Also run windows in which the bundle's locator finds no organ.")
    ] = False
    series: Annotated[
        str | None,
        typer.Option(
            help="Which DICOM series: its number in bedside inspect FOLDER, or its UID.", show_default="the only"
        ),
    ] = None
    fill_gaps: Annotated[
        bool, typer.Option("--fill-gaps", help="Interpolate missing slices of a DICOM series; exit 6.")
    ] = False
    binary_seg: Annotated[
        bool, typer.Option("--binary-seg", help="DICOM segmentation with a frame for each organ, for older viewers.")
    ] = False
    sr: Annotated[
        Path | None, output_option(help="Also write the volumes as a DICOM structured report (.dcm); with -o FILE.dcm.")
    ] = None
    rtstruct: Annotated[
        Path | None, output_option(help="Also write the contours of a DICOM series as RTSTRUCT (.dcm).")
    ] = None
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of a 4D file, from 0.")] = None
    replace_nan: Annotated[float | None, typer.Option(help="Value put in place of NaN and infinity; exit 6.")] = None
    use_sform: Annotated[
        bool, typer.Option("--use-sform", help="Believe the sform, whatever qform and pixdim say.")
    ] = False
    use_qform: Annotated[bool, typer.Option("--use-qform", help="Believe the qform, unless the sform is sheared.")] = (
        False
    )
    postprocessing: PostprocessingOptions
    no_postprocessing: Annotated[
        bool, typer.Option("--no-postprocessing", help="Leave the label map as it is, whatever the bundle says.")
    ] = False
    record: Annotated[
        Path | None, output_option(help="Also write the run's record (JSON: hashes, versions, timings, exit code).")
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Folder: processes that share the threads, or jobs of a cluster.")
    ] = None
    jobs: ClusterOptions
    force: Annotated[
        bool, typer.Option("--force", help="Also replace what is there: label maps of a folder, any file as output.")
    ] = False
    console: Console

    def __call__(self) -> int:
        """Segments the scan, or every scan of the folder."""
        self._check()
        given = ScanInput(self.scan, self.series, self.fill_gaps)
        if self._writes_a_folder:  # else the command opens what is missing, and writes a record of that
            given.check_found()
        if not given.is_folder_of_scans:
            if self.workers is not None:
                raise UsageError("--workers goes with a folder of scans; this is one scan")
            if self.jobs.cluster is not None:
                raise UsageError("--cluster goes with a folder of scans; this is one scan")
            self.jobs.check()
            from .one_scan import segment_scan

            as_dicom = DicomOutput(self.binary_seg, self.sr, self.rtstruct)
            return segment_scan(self._job(), given, self.output, self.record, self.force, self.console, as_dicom)
        if self.binary_seg or self.sr is not None or self.rtstruct is not None:
            raise UsageError("--binary-seg, --sr and --rtstruct go with one DICOM series; this is a folder of scans")
        if self.record is not None:
            raise UsageError("--record goes with one scan; the record of a folder is segment.json in the output folder")
        from .folder import segment_folder

        workers, cluster = self.workers or 1, self._cluster()
        return segment_folder(self._job(), self.scan, self.output, workers, self.force, self.console, cluster)

    def _check(self) -> None:
        """Refuses options that exclude each other, and a bundle and a scan that are swapped."""
        if (self.scan.is_dir() and (self.scan / "bundle.json").is_file()) or has_nifti_ending(self.bundle.name):
            raise UsageError(
                f'expected a bundle first and a scan after -i, got "{self.bundle.name}" first and "{self.scan.name}" '
                "after -i; write: bedside segment BUNDLE -i SCAN -o LABELS"
            )
        if self.use_sform and self.use_qform:
            raise UsageError("--use-sform and --use-qform exclude each other; give one")

    @property
    def _writes_a_folder(self) -> bool:
        is_file = self.output.suffix == SEG_SUFFIX or has_nifti_ending(self.output.name)
        return self.workers is not None or self.jobs.cluster is not None or not is_file

    def _cluster(self) -> Cluster | None:
        """Returns where the jobs of a folder run; refuses what would give each machine's label maps its own engine."""
        if self.jobs.cluster is not None:
            if "auto" in (self.engine, self.precision):
                raise UsageError(
                    "--cluster: name --engine and --precision; auto would choose the fastest on each machine, and the "
                    "label maps would depend on it"
                )
            if self.jobs.job_gpus and self.device == "auto":
                raise UsageError(
                    "--job-gpus: name --device (bedside devices lists them); without it, jobs run on the CPU"
                )
            if self.threads is None:
                raise UsageError("--cluster: give --threads, the CPUs of each job")
        return self.jobs.requested(jobs=self.workers or 1, threads=self.threads or 1, folder=self.output)

    def _job(self) -> SegmentJob:
        from ...runtime.engine_selection.engine_request import EngineRequest
        from ...runtime.segmentation_options import SegmentationOptions

        engine = EngineRequest(
            engine=self.engine,
            precision=self.precision,
            device=self.device,
            threads=self.threads,
            memory_limit=None if self.memory_limit is None else self.memory_limit * 2**20,
        )
        options = SegmentationOptions(
            overlap=self.overlap,
            skip_air=not self.no_skip_air,
            use_locator=not self.no_locator,
            volume=self.volume,
            replace_nan=self.replace_nan,
            prefer="sform" if self.use_sform else "qform" if self.use_qform else None,
            postprocessing=self.postprocessing.requested(none=self.no_postprocessing),
        )
        return SegmentJob(
            bundle=self.bundle,
            engine=engine,
            options=options,
            trust=None if self.trust is None else tuple(self.trust),
        )
