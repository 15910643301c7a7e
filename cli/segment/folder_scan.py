"""Segments one scan of a folder; an error of this scan becomes its outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import BundleError, UsageError
from ...runtime.files.text import utf8_name
from ...runtime.log import log_failure
from ..terminal.failure import failure_of

if TYPE_CHECKING:
    from ...runtime.hooks import Progress
    from ...runtime.record import Outcome
    from ...runtime.segmentation_options import SegmentationOptions
    from ...runtime.segmenter import Segmenter


@dataclass(frozen=True)
class FolderScan:
    """A scan and the path of its label map.

    Attributes:
        scan: .nii or .nii.gz file.
        output: .nii.gz file.
        folder: name of the patient's folder that holds the scan; empty if the patients have no folders.
    """

    scan: Path
    output: Path
    folder: str = ""

    @property
    def name(self) -> str:
        """Name in journal and table, in UTF-8: ``FOLDER/FILE`` if patients have folders, else the file's name."""
        return utf8_name(f"{self.folder}/{self.scan.name}" if self.folder else self.scan.name)

    @property
    def label_map(self) -> str:
        """Name of the label map in the journal, in UTF-8."""
        return utf8_name(self.output.name)

    def at_absolute_paths(self) -> FolderScan:
        """Returns the same scan for a process with another current folder."""
        return replace(self, scan=self.scan.absolute(), output=self.output.absolute())

    def run(self, segmenter: Segmenter, options: SegmentationOptions, progress: Progress | None = None) -> Outcome:
        """Segments the scan and writes its label map; an error of this scan alone becomes its outcome.

        Raises:
            UsageError: the options are wrong, for every scan.
            BundleError: the bundle is refused, for every scan.
        """
        from ...runtime.record import Outcome

        try:
            with segmenter.reserve(self.scan, options) as reserved:
                digest = reserved.sha256()
                result = reserved.run(progress)
            result.save(self.output)
            return Outcome.written(digest, self.output, result)
        except (UsageError, BundleError):
            raise
        except Exception as error:
            failure = failure_of(error)
            log_failure("a case failed", error)
            return self.failed(failure.message, failure.code)

    def failed(self, message: str, exit_code: int) -> Outcome:
        """Returns the outcome of a scan that has no label map, or only one of an earlier run."""
        from ...runtime.record import Outcome

        older = "; an older label map is still there" if self.output.exists() else ""
        return Outcome.failed(self.scan, message + older, exit_code)
