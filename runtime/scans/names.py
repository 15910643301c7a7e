"""File names of scans: NIfTI endings in upper or lower case, nnU-Net's channel number, the journal of label maps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ENDINGS = (".nii.gz", ".nii")
FIRST_CHANNEL = "_0000"
JOURNAL_NAME = "segment.json"  # in a folder of label maps, which `bedside segment` wrote for a folder of scans

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


def has_nifti_ending(name: str) -> bool:
    """Whether a file's name has NIfTI's ending, ``.nii`` or ``.nii.gz``, in upper or lower case."""
    return name.lower().endswith(ENDINGS)


def stem(name: str) -> str:
    """Returns a NIfTI file's name without its ending; another file's name as it is."""
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def label_map_name(case: str) -> str:
    """Returns the file name of the label map that `bedside segment` writes for a case of a folder.

    >>> label_map_name(stem("ct.NII"))
    'ct.nii.gz'

    Args:
        case: the scan's file name without ending, or the name of the patient's folder.
    """
    return f"{case}.nii.gz"


def split_channel(case: str) -> tuple[str, int] | None:
    """Returns the case and channel in a name without ending, or None if it has no channel number.

    >>> split_channel("liver_003_0000")
    ('liver_003', 0)
    """
    found = _CHANNEL.fullmatch(case)
    return (found["case"], int(found["channel"])) if found else None


def nifti_files(folder: Path) -> list[Path]:
    """Returns the NIfTI files directly in a folder, sorted by name, without hidden ones.

    They include links whose file is missing, so that reading one reports it.

    Raises:
        OSError: the folder cannot be read.
    """
    found = (path for path in folder.iterdir() if has_nifti_ending(path.name) and path.name[0] != ".")
    return sorted(path for path in found if not path.is_dir())


def subfolders(folder: Path) -> list[Path]:
    """Returns the folders directly in a folder, sorted by name, without hidden ones.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_dir())


def joined_names(names: Iterable[str], shown: int = 4) -> str:
    """Returns the first ``shown`` names with commas between them, and the number of further names.

    >>> joined_names(["liver", "spleen", "aorta"], shown=2)
    'liver, spleen … and 1 more'
    """
    every = list(names)
    rest = f" … and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + rest
