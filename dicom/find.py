"""Finds the series in files and folders, and opens the one that is meant."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime import arguments
from ..runtime.errors import Choice, InputError, UsageError
from ..runtime.scans.file_kind import is_dicom, remnant
from ..runtime.scans.folder_walk import walk_folder
from ..runtime.shortage import raise_shortage
from .frames import Frame, NoScan, SliceError, read_frames
from .modality import shown_modality
from .series import DicomSeries
from .stack import Stack


@dataclass(frozen=True)
class SeriesSummary:
    """One series among those that were found. Nothing in it names the patient.

    Attributes:
        number: its number in the list, from 1.
        uid: Series Instance UID.
        modality: Modality, such as ``CT`` or ``SEG``; see `shown_modality`.
        slices: slices of the scan; 0 where the series is none. A file with a fault counts as one.
        size: voxels along x, y, z as stored; None where they are no stack.
        spacing: distances in mm; None likewise.
        orientation: axis codes such as ``LPS``; None likewise.
        problem: why it cannot be segmented; empty where it can.
    """

    number: int
    uid: str
    modality: str
    slices: int
    size: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    orientation: str | None = None
    problem: str = ""

    def __str__(self) -> str:
        """A line for people who choose among series."""
        if self.size is None or self.spacing is None:
            return f"series {self.number}: {self.modality}, {self.slices} slices that cannot be segmented"
        voxels, steps = "×".join(map(str, self.size)), "×".join(f"{step:.3g}" for step in self.spacing)
        return f"series {self.number}: {self.modality}, {voxels} voxels of {steps} mm"


def list_series(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[SeriesSummary]:
    """Lists the series of a folder, with its subfolders, or of files, in the order of their UIDs.

    Raises:
        UsageError: ``path`` is no path.
        MissingExtraError: pydicom is not installed.
        InputError: there is no DICOM file, one does not say its series, or a file beside them lost its content.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    return [each.summary(number) for number, each in enumerate(_series(path), start=1)]


def open_series(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    series: str | int | None = None,
    *,
    fill_gaps: bool = False,
) -> DicomSeries:
    """Opens a series as a scan: headers are read and checked now, pixels when the planes are iterated over.

    Args:
        path: a folder, searched with its subfolders, a file, or several files.
        series: Series Instance UID, or number from 1 in `list_series`; None takes the only series that is a scan.
        fill_gaps: whether missing slices are interpolated, with a warning.

    Raises:
        UsageError: an argument has the wrong type, or no series has that UID or number.
        MissingExtraError: pydicom is not installed.
        InputError: there is no scan, or there are several and ``series`` is None; the slices are no even stack; a file
            of the series is damaged; or any file lost its content or does not say its series.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    found = _series(path)
    if not isinstance(series, str | None):
        series = str(arguments.whole_number("series", series))
    chosen = _chosen(found, series)
    if chosen.faults:
        raise chosen.faults[0]
    if not chosen.frames:
        raise InputError(f"the series is no scan ({chosen.others}); choose another; bedside inspect lists them")
    return DicomSeries(Stack.of(chosen.frames, fill_gaps=fill_gaps), left_out=chosen.others)


@dataclass(frozen=True)
class _Series:
    uid: str
    frames: list[Frame]
    no_scans: list[NoScan]
    faults: list[SliceError]

    @property
    def is_scan(self) -> bool:
        """Whether it has slices, sound or not."""
        return bool(self.frames or self.faults)

    @property
    def others(self) -> str:
        """What the files are that are no slices."""
        counts = Counter(each.reason for each in self.no_scans)
        return ", ".join(f"{reason} ({count})" for reason, count in counts.items())

    def summary(self, number: int) -> SeriesSummary:
        modality = shown_modality(next(each.modality for each in (*self.frames, *self.no_scans, *self.faults)))
        if not self.is_scan:
            return SeriesSummary(number, self.uid, modality, 0, problem=self.others)
        try:
            if self.faults:
                raise self.faults[0]
            grid = Stack.of(self.frames).grid
        except InputError as error:
            slices = len(self.frames) + len(self.faults)
            return SeriesSummary(number, self.uid, modality, slices, problem=str(error))
        shape = (grid.shape.x, grid.shape.y, grid.shape.z)
        return SeriesSummary(number, self.uid, modality, len(self.frames), shape, grid.spacing, grid.axes)


def _series(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[_Series]:
    several = () if isinstance(path, str | os.PathLike) else arguments.sequence("path", path, "a path, or several")
    given = [arguments.path("path", each) for each in several or (path,)]
    found: dict[str, _Series] = {}
    for file in dict.fromkeys(_dicom_files(given)):
        try:
            read = read_frames(file)
        except SliceError as error:  # of a series that nobody may have chosen
            read = error
        first = read[0] if isinstance(read, list) else read
        series = found.setdefault(first.key, _Series(first.series, [], [], []))
        if isinstance(read, NoScan):
            series.no_scans.append(read)
        elif isinstance(read, SliceError):
            series.faults.append(read)
        else:
            series.frames.extend(read)
    if not found:
        raise InputError(f'"{given[0].name}": no DICOM file is there; check the path')
    return [found[key] for key in sorted(found, key=lambda key: (found[key].uid, key))]


def _dicom_files(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        if not path.is_dir():
            if not path.exists():
                raise InputError(f'"{path.name}": does not exist; check the path')
            if not is_dicom(path):
                raise InputError(f'"{path.name}": expected a DICOM file')
            yield path
            continue
        files = [file for each in walk_folder(path, _refuse) for file in each if file.name != "DICOMDIR"]
        slices = {file: None for file in files if is_dicom(file)}  # in their order
        if slices:  # each may lie in a folder of its own
            others = [file for file in files if file not in slices and not _is_hidden(file.relative_to(path))]
            _check_whole(_possible_slices(others, slices, path))
        yield from slices


def _possible_slices(files: Iterable[Path], slices: Iterable[Path], root: Path) -> Iterator[Path]:
    """Returns the files that may have been slices: those beside or named like slices, and links, also to a folder."""
    folders = {file.parent for file in slices}
    kinds = {_kind(file, root) for file in slices}
    return (file for file in files if file.parent in folders or _kind(file, root) in kinds or file.is_symlink())


def _kind(file: Path, root: Path) -> tuple[int, str]:
    """Returns depth and ending, which a lost slice in a folder of its own shares with the others."""
    return len(file.relative_to(root).parts), file.suffix.lower()


def _is_hidden(file: Path) -> bool:
    """Whether a file, or a folder that it lies in, is hidden, such as one of git's."""
    return any(part.startswith(".") for part in file.parts)


def _refuse(error: OSError) -> None:
    name = Path(error.filename).name
    raise_shortage(error, f'"{name}"')
    raise InputError(f'"{name}": the folder cannot be read ({error.strerror}); allow that, or give another one')


def _check_whole(files: Iterable[Path]) -> None:
    """Checks that no file among DICOM files may have been one."""
    lost = [(file, what) for file in files if (what := remnant(file))]
    if lost:
        (file, what), count = lost[0], len(lost)
        others = f" and {count - 1} others like it are" if count > 1 else " is"
        raise InputError(
            f'"{file.name}": {what}{others} among the slices; copy the series again, or remove what is no slice'
        )


def _chosen(found: Sequence[_Series], series: str | None) -> _Series:
    if series is None:
        scans = [each for each in found if each.is_scan]
        if len(scans) == 1:
            return scans[0]
        if not scans:
            raise InputError(f"no series is a scan ({'; '.join(each.others for each in found)})")
        summaries = [each.summary(number) for number, each in enumerate(found, start=1) if each.is_scan]
        raise InputError(
            f"{len(scans)} series are scans; choose one by its number or UID (--series); bedside inspect lists them",
            [Choice("series", str(each.number), str(each)) for each in summaries],
        )
    fitting = [each for number, each in enumerate(found, start=1) if series in (str(number), each.uid)]
    if len(fitting) > 1:  # of several patients or studies
        raise UsageError(
            f"series: {len(fitting)} series have the UID {series[:80]}; choose by number; bedside inspect lists them"
        )
    if fitting:
        return fitting[0]
    raise UsageError(
        f"series: there are {len(found)}, and none has the number or UID {series[:80]}; bedside inspect lists them"
    )
