"""Checks the arguments of the writers of DICOM results before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..runtime.scans.file_kind import is_dicom
from .codes import label_text
from .references import ResultIdentity, read_header, refusing
from .series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

_SUFFIX = ".dcm"


@dataclass(frozen=True)
class ResultArguments:
    """What every writer of a result is given and the further checks need; make it with `checked`.

    Attributes:
        path: the file to write.
        names: label names by index, the background first.
        series: the series that was segmented.
    """

    path: Path
    names: tuple[str, ...]
    series: DicomSeries

    @classmethod
    def checked(
        cls,
        path: str | os.PathLike[str],
        names: Sequence[str],
        series: DicomSeries,
        bundle_sha256: str,
        identity: ResultIdentity | None,
    ) -> ResultArguments:
        """Checks them.

        Args:
            path: the file to write.
            names: label names by index, the background first.
            series: the series that was segmented.
            bundle_sha256: hash of the bundle.
            identity: UIDs of the result; None makes new ones.

        Raises:
            UsageError: one has the wrong type, the file's name does not end in .dcm, or there is no label beside the
                background.
        """
        file = arguments.path("path", path)
        if not file.name.endswith(_SUFFIX):
            raise UsageError(f'output "{file.name}": expected a name ending in {_SUFFIX}')
        checked = arguments.names("names", names)
        if len(checked) < 2:
            raise UsageError(f"names: expected the background and the names of all labels, got {len(checked)}")
        series = arguments.instance("series", series, DicomSeries, "open it with bedside.dicom.open_series")
        arguments.text("bundle_sha256", bundle_sha256)
        arguments.optional(arguments.instance, "identity", identity, ResultIdentity)
        return cls(file, checked, series)

    def label_map(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Checks a label map of the series, [X, Y, Z] on its grid, and returns it without a copy.

        Raises:
            UsageError: it is no array of integers, has another shape than the series, or a label has no name.
        """
        advice = "give its labels" if hasattr(labels, "labels") else "make an array of it with numpy.asarray"
        labels = arguments.instance("labels", labels, np.ndarray, advice)
        if np.ma.is_masked(labels):
            raise UsageError("labels: expected a label in every voxel, got a masked array; fill it first: .filled(0)")
        if labels.dtype.kind not in "biu":
            raise UsageError(f"labels: expected integers, got {labels.dtype}; give indices of labels")
        if labels.shape != self.series.grid.shape:
            raise UsageError(
                f"labels: expected shape {self.series.grid.shape} as the series has it, got {labels.shape}; give the "
                "label map of this series, in its own order of axes"
            )
        low, high, highest = int(labels.min()), int(labels.max()), len(self.names) - 1
        if low < 0 or high > highest:
            raise UsageError(f"labels: expected indices from 0 to {highest}, got {low} to {high}")
        return np.asarray(labels)

    def volumes(self, volumes_ml: Mapping[str, float]) -> Mapping[str, float]:
        """Checks the volumes of the labels, in ml by name.

        Raises:
            UsageError: it is no mapping, a label has no volume, a volume no label, or one is no number from 0 up.
        """
        given = arguments.instance("volumes_ml", volumes_ml, Mapping)
        missing = next((name for name in self.names[1:] if name not in given), None)
        if missing is not None:
            raise UsageError(f'volumes_ml: expected the volume of every label, got none of "{missing}"')
        other = next((name for name in given if name not in self.names), None)
        if other is not None:
            arguments.refuse("volumes_ml", "the names of the labels alone", other)
        for name, volume in given.items():
            arguments.number(f'volumes_ml["{name}"]', volume, "ml from 0 up", lambda millilitres: millilitres >= 0)
        return given

    def segmentation(self, path: str | os.PathLike[str], headers: Sequence[Dataset]) -> Dataset:
        """Returns the header of the segmentation that a report refers to.

        Args:
            path: its file.
            headers: headers of the series' files, as `series_headers` returns them.

        Raises:
            UsageError: it is no path, or the file is no DICOM segmentation of this series with these labels.
            InputError: the file is damaged.
            ResourceError: memory or file descriptors ran out, or the disk failed.
        """
        file = arguments.path("segmentation", path)
        found = "no DICOM file"
        if is_dicom(file):
            header = read_header(file)
            with refusing("report"):
                found = _other_than(header, headers[0].SeriesInstanceUID, self.names)
            if not found:
                return header
        raise UsageError(
            f'segmentation "{file.name}": expected what write_segmentation wrote for this series and these names, got '
            f"{found}"
        )


def _other_than(header: Dataset, series_uid: str, names: Sequence[str]) -> str:
    """Returns what a DICOM file is if it is no segmentation of a series with these labels; empty if it is that."""
    if header.get("Modality") != "SEG":
        return "a DICOM file of another kind"
    if series_uid not in [each.get("SeriesInstanceUID") for each in header.get("ReferencedSeriesSequence") or ()]:
        return "a segmentation of another series"
    labels = {each.get("SegmentNumber"): each.get("SegmentLabel") for each in header.get("SegmentSequence") or ()}
    labels.pop(0, None)  # the background of a LABELMAP
    expected = dict(enumerate(map(label_text, names[1:]), start=1))
    if labels.keys() != expected.keys() or any(
        (labels[number] or "").strip() != text.strip()  # spaces at its ends get lost in DICOM
        for number, text in expected.items()
    ):
        return "a segmentation with other labels"
    return ""
