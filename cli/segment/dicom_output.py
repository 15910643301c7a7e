"""What `bedside segment` writes as DICOM of one series: a segmentation, and on request a report and contours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.bundles.outputs import check_writable
from ...runtime.errors import UsageError
from ...runtime.scans.file_kind import is_dicom_series
from .output import SEG_SUFFIX, check_output

if TYPE_CHECKING:
    from ...dicom import DicomSeries
    from ...runtime.result import Result
    from ...runtime.segmenter import Segmenter


@dataclass(frozen=True)
class DicomOutput:
    """The options of DICOM results.

    Attributes:
        binary: whether the segmentation has a frame for each organ in place of one for all.
        report: structured report of the volumes to write; None writes none.
        contours: RT structure set to write; None writes none.
    """

    binary: bool = False
    report: Path | None = None
    contours: Path | None = None

    def check(self, scan: Path, output: Path, force: bool) -> None:
        """Refuses options that do not fit the scan or the label map, and files that cannot be written.

        Raises:
            UsageError: the scan is no DICOM series, or the label map no DICOM file, where an option needs one; or two
                of the paths are the same.
            ResourceError: a file cannot be written.
        """
        is_seg = output.suffix == SEG_SUFFIX
        if is_seg and not is_dicom_series(scan):
            raise UsageError(
                "a DICOM segmentation refers to the series it was made of; this scan is NIfTI: write .nii.gz"
            )
        if self.binary and not is_seg:
            raise UsageError("--binary-seg goes with -o FILE.dcm, a DICOM segmentation")
        if self.report is not None and not is_seg:
            raise UsageError("--sr goes with -o FILE.dcm: the report refers to the DICOM segmentation")
        if self.contours is not None and not is_dicom_series(scan):
            raise UsageError("--rtstruct goes with a DICOM series; this scan is NIfTI")
        paths = [path.resolve() for path in (scan, output, self.report, self.contours) if path is not None]
        if len({*paths}) < len(paths):
            raise UsageError("-i, -o, --sr and --rtstruct need files of their own")
        for path, modality in ((self.report, "SR"), (self.contours, "RTSTRUCT")):
            if path is not None:
                check_writable(path, SEG_SUFFIX)
                check_output(path, force, modality)

    def bytes(self, scan: DicomSeries, output: Path) -> int:
        """Returns the memory that writing takes at most beside the label map, in bytes."""
        from ...dicom.result_memory import result_bytes

        return result_bytes(
            scan,
            segmentation=output.suffix == SEG_SUFFIX,
            report=self.report is not None,
            contours=self.contours is not None,
        )

    def check_series(self, scan: DicomSeries, segmenter: Segmenter, output: Path) -> None:
        """Refuses a series whose headers do not permit what is to be written, or whose files it would replace.

        It is not segmented yet.

        Raises:
            UsageError: a file of the series is where a result would be written.
            InputError: a header permits no such result, or a file cannot be read.
        """
        from ...dicom.result_check import check_results

        own = {os.path.realpath(file) for file in scan.files}
        for path in filter(None, (output, self.report, self.contours)):
            if os.path.realpath(path) in own:
                raise UsageError(f'"{path.name}" is a file of the series that is segmented; choose another path')
        check_results(
            scan,
            segmenter.task.labels,
            segmentation=output.suffix == SEG_SUFFIX,
            report=self.report is not None,
            contours=self.contours is not None,
        )

    def write_label_map(self, result: Result, scan: DicomSeries, segmenter: Segmenter, output: Path) -> None:
        """Writes the label map, as DICOM or NIfTI; raises what `bedside.dicom` and `Result.save` raise."""
        from ...dicom import write_segmentation

        if output.suffix == SEG_SUFFIX:
            names, sha256 = segmenter.task.labels, segmenter.bundle.sha256
            kind = "BINARY" if self.binary else "LABELMAP"
            write_segmentation(output, result.labels, names, scan, bundle_sha256=sha256, kind=kind)
        else:
            result.save(output)

    def write_beside(self, result: Result, scan: DicomSeries, segmenter: Segmenter, output: Path) -> None:
        """Writes the report and contours that were asked for; raises what `bedside.dicom` raises."""
        from ...dicom import write_report, write_structure_set

        names, sha256 = segmenter.task.labels, segmenter.bundle.sha256
        if self.report is not None:
            write_report(self.report, result.volumes_ml, names, scan, output, bundle_sha256=sha256)
        if self.contours is not None:
            write_structure_set(self.contours, result.labels, names, scan, bundle_sha256=sha256)

    def without_names(self, message: str, output: Path) -> str:
        """Returns a message without the names of the written files and their folders, which may be a person's."""
        for path, what in ((output, "the label map"), (self.report, "the report"), (self.contours, "the contours")):
            if path is not None:
                message = message.replace(f'"{path.name}"', what)
                for folder in path.absolute().parents:
                    message = message.replace(f' "{folder.name}"', "")
        return message
