"""Reads a data set in any known layout, recognised by its content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ....runtime.errors import InputError
from ....runtime.files.text import read_utf8
from ....runtime.scans.file_kind import contents_of
from ....runtime.scans.names import has_nifti_ending, joined_names, nifti_files
from ....runtime.shortage import raise_shortage
from .case_list import CaseList
from .listing import Layout, Listing, Source
from .nnunet import Nnunet
from .paired_folders import PairedFolders
from .patient_folders import PatientFolders

LIST = "dataset.json"
LAYOUTS: tuple[Layout, ...] = (
    Nnunet(),
    CaseList("Medical Segmentation Decathlon", decathlon=True),
    CaseList("MONAI data list", decathlon=False),
    PairedFolders(),
    PatientFolders(),
)


def read_source(path: str | Path, labels: Sequence[str] | None = None) -> Source:
    """Opens a list, a folder with a dataset.json, or a folder of scans.

    Args:
        path: path as the user gave it.
        labels: label names of the task, background first; None without a task.

    Raises:
        InputError: the path does not exist, or is a file without valid JSON.
    """
    place = Path(path)
    given = None if labels is None else tuple(labels)
    if place.is_dir() and not (place / LIST).is_file():
        root = place.resolve()
        return Source(root, f'"{root.name}"', None, given)
    file = place / LIST if place.is_dir() else place
    if not file.is_file():
        raise InputError(
            f'data set: expected a JSON file or a folder, found none at "{path}"; '
            "give the folder or the list of a data set"
        )
    if has_nifti_ending(file.name):
        raise InputError(f'data set "{file.name}": expected a folder or a JSON list of cases, got a scan')
    try:
        content = msgspec.json.decode(read_utf8(file, f"data set {file.name}"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"data set {file.name}: expected a readable JSON file: {error}") from None
    if not isinstance(content, dict):
        raise _unknown(file.name, "no mapping")
    return Source(file.parent.resolve(), file.name, {str(key): value for key, value in content.items()}, given)


def is_dataset(path: Path) -> bool:
    """Returns whether a path is a data set (a JSON file, a folder with one, or folders of scans), not label maps.

    nnU-Net copies its list beside the label maps that it predicts: these are no data set.
    """
    if not path.is_dir():
        return path.name.lower().endswith(".json") and path.is_file()
    if (path / LIST).is_file():
        return not _is_prediction_of_nnunet(path)
    try:
        return _layout(Source(path, path.name)) is not None
    except (InputError, OSError):  # the reader of label maps reports the error
        return False


def _is_prediction_of_nnunet(folder: Path) -> bool:
    try:
        source = read_source(folder)
        return Nnunet().lists_no_case(source) and bool(nifti_files(folder))
    except (InputError, OSError):  # the reader of data sets reports the error
        return False


def read_listing(source: Source) -> tuple[str, Listing]:
    """Reads a data set's cases and labels.

    Returns:
        The name of the layout, and the listed cases and labels.

    Raises:
        InputError: the layout is unknown, the images have several channels, or the labels cannot be used.
    """
    try:
        layout = _layout(source)
        if layout is not None:
            return layout.name, layout.read(source)
    except msgspec.ValidationError as error:
        raise InputError(f"data set {source.title}: {error}") from None
    except OSError as error:
        raise_shortage(error, f"data set {source.title}")
        raise InputError(f"data set {source.title}: a folder cannot be read: {error.strerror}") from None
    if source.content is not None:
        raise _unknown(source.title, _top(source.content))
    lists = joined_names(sorted(file.name for file in source.root.glob("*.json")))
    raise InputError(
        f"data set {source.title}: expected {LIST}, folders imagesTr and labelsTr, or a folder for each patient, "
        + (
            f"found none; give one of its lists: {lists}"
            if lists
            else f"{contents_of(source.root)}; docs/data.md shows how data sets are laid out"
        )
    )


def _layout(source: Source) -> Layout | None:
    return next((layout for layout in LAYOUTS if layout.recognises(source)), None)


def _unknown(title: str, got: str) -> InputError:
    return InputError(
        f'data set {title}: expected "training" (MSD, MONAI list) or "channel_names" (nnU-Net v2) at the top, '
        f"got {got}; give another file, or list the cases as docs/data.md shows"
    )


def _top(content: dict[str, object]) -> str:
    """Describes the top level of a JSON file that is not a list of cases, for an error message."""
    names = [f'"{name}"' for name in content]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") if names else "an empty one"
