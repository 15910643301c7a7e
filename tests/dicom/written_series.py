"""DICOM series made by the tests: slices of known numbers at known places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

SHAPE = (5, 6, 7)  # slices, rows, columns
SPACING = (0.7, 0.9)  # of rows, of columns
STEP = 2.5
SERIES_UID = "1.2.3.4.5"
Change = Callable[[Dataset, int], None]


def numbers(shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Stored values [slice, row, column], all different."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def dataset(values: np.ndarray, kind: str = CTImageStorage) -> Dataset:
    """A CT image with the elements that every slice has; values are int16 or uint16."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.SeriesInstanceUID = SERIES_UID
    made.StudyInstanceUID, made.FrameOfReferenceUID = "1.2.3", "1.2.3.9"
    made.Modality = "CT"
    made.PatientName, made.PatientID = "Doe^Jane", "canary-4711"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows, made.Columns = values.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, int(values.dtype.kind == "i")
    made.PixelData = values.tobytes()
    return made


def write_series(
    folder: Path,
    *,
    values: np.ndarray | None = None,
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    step: Sequence[float] | None = None,
    origin: Sequence[float] = (-30, -40, 100),
    leave_out: Sequence[int] = (),
    change: Change | None = None,
    big_endian: bool = False,
) -> list[Path]:
    """Writes a series whose file names are in another order than its slices.

    Args:
        folder: folder of the files.
        values: stored values [slice, row, column].
        row: direction of a row in DICOM's axes.
        column: direction of a column.
        step: from one slice to the next, in mm; None: `STEP` along the normal.
        origin: centre of the first pixel of the first slice.
        leave_out: numbers of slices, from 0, that are not written.
        big_endian: whether the files are written in big endian.
        change: called with each slice's data set and number before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = numbers() if values is None else values
    towards = np.cross(row, column) * STEP if step is None else np.array(step)
    files = []
    for number, plane in enumerate(values):
        if number in leave_out:
            continue
        made = dataset(plane)
        made.InstanceNumber = number + 1
        made.ImagePositionPatient = [round(float(x), 6) for x in np.array(origin) + number * towards]
        made.ImageOrientationPatient = [*row, *column]
        made.PixelSpacing = list(SPACING)
        made.SliceThickness = 99  # never the distance of slices
        if change is not None:
            change(made, number)
        file = folder / f"IM{number * 37 % 1009:04d}.dcm"
        if big_endian:
            made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
            made.PixelData = plane.astype(">i2").tobytes()
        made.save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def other_series(uid: str, **elements: object) -> Change:
    """Returns a ``change`` that makes the slices another series, with other elements."""

    def change(made: Dataset, _: int) -> None:
        made.SeriesInstanceUID = uid
        for name, value in elements.items():
            setattr(made, name, value)

    return change


def write_enhanced(
    file: Path,
    values: np.ndarray | None = None,
    order: Sequence[int] | None = None,
    *,
    change: Change | None = None,
    per_frame: Sequence[str] = (),
) -> Path:
    """Writes a multi-frame CT with the geometry of `write_series`, rescaled by 2 x - 7, frames in the given order.

    Args:
        file: the file to write.
        values: stored values [slice, row, column].
        order: slice of each frame.
        change: changes the file before it is written; its number is 0.
        per_frame: names of shared functional groups that stand at every frame instead.
    """
    values = numbers() if values is None else values
    order = range(len(values)) if order is None else order
    made = dataset(values[list(order)], EnhancedCTImageStorage)
    made.NumberOfFrames = len(values)
    shared = Dataset()
    orientation, measures, scaling = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), 99
    scaling.RescaleSlope, scaling.RescaleIntercept = 2, -7
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [scaling]
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number in order:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [-30, -40, 100 + number * STEP]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = frames
    for name in per_frame:
        for frame in frames:
            setattr(frame, name, [deepcopy(shared[name].value[0])])
        delattr(shared, name)
    if change is not None:
        change(made, 0)
    made.save_as(file, enforce_file_format=True)
    return file
