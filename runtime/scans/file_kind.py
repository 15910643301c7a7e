"""Recognises files that are not NIfTI by their first bytes, with advice in the same wording for every command."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..errors import without_segment_options
from ..shortage import raise_shortage
from .folder_walk import walk_folder

SHORTEST_HEADER = 348  # bytes, of NIfTI-1
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31  # zlib's code for a gzip container; it verifies CRC and length
SNIFFED_BYTES = 512  # read from a file's start, enough for every row of the table
_MOST_FILES = 10_000  # files of a folder that are inspected, in a second or two
_DICOM_ADVICE = (
    "to segment its series, open it with bedside.dicom.open_series (Python), or convert it with dcm2niix -z y -o OUT "
    "FOLDER and give the .nii.gz"
)
_BUNDLE_FILE = "bundle.json"
_FIRST_ELEMENTS = (0x01, 0x05, 0x08, 0x12, 0x14, 0x16, 0x18)  # of group 8: length to end, character set, type, UIDs …
_LONGEST_FIRST_ELEMENT = 128  # bytes
_TABLE_BYTES = 2**16  # read from a zip's end, where its table of contents is; a bundle's has some hundred bytes


class FileKind(NamedTuple):
    """A kind of file.

    Attributes:
        name: description with an article, such as ``"a DICOM file"``.
        advice: how to get a scan from it.
        is_remnant: whether a file of any kind looks so after a copy that ended early.
    """

    name: str
    advice: str
    is_remnant: bool = False

    def __str__(self) -> str:
        return f"{self.name}; {self.advice}"


_DICOM = FileKind("a DICOM file", _DICOM_ADVICE)
_DICOM_FOLDER = FileKind("a folder of DICOM files", _DICOM_ADVICE)
_ITK = "convert it to .nii.gz, with SimpleITK or 3D Slicer for instance"
_MINC = "convert MINC with mnc2nii, other files with the program that wrote them"
_UNPACK = "unpack it and give the scan that it holds"
_PICTURE = "give the scan itself as .nii or .nii.gz, not a picture of it"
_TEXT_IS_NO_SCAN = "give the scan itself as .nii or .nii.gz"
_DOWNLOAD = "the download of a scan failed, so download it again"
ZIP = FileKind("a zip archive", _UNPACK)
BUNDLE = FileKind("a bundle", "give the bundle as the bundle, and a scan as the scan")

# (offset, bytes at that offset, kind); the first row that matches counts
_SIGNATURES: tuple[tuple[int, bytes, FileKind], ...] = (
    (128, b"DICM", _DICOM),
    *((0, start, _DICOM) for start in (b"\x02\0\0\0UL", b"\x08\0\x05\0CS", b"\x08\0\x08\0CS", b"\x08\0\x16\0UI")),
    (0, b"NRRD000", FileKind("an NRRD file", _ITK)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 or MINC file", _MINC)),
    (0, b"CDF", FileKind("a netCDF or MINC file", _MINC)),
    (0, b"\0\0\0\x01\0\0", FileKind("a FreeSurfer MGH file", "convert it with mri_convert IN OUT.nii.gz")),
    (0, b"PK\x03\x04", ZIP),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (0, b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (0, b"BZh", FileKind("a bzip2 file", _UNPACK)),
    (0, b"\xfd7zXZ", FileKind("an xz file", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", FileKind("a zstd file", _UNPACK)),
    (257, b"ustar", FileKind("a tar archive", _UNPACK)),
    (0, b"\xff\xd8\xff", FileKind("a JPEG picture", _PICTURE)),
    (0, b"\x89PNG", FileKind("a PNG picture", _PICTURE)),
    (0, b"II*\0", FileKind("a TIFF picture", _PICTURE)),
    (0, b"MM\0*", FileKind("a TIFF picture", _PICTURE)),
    (0, b"%PDF", FileKind("a PDF document", _PICTURE)),
    (0, b"\x93NUMPY", FileKind("a NumPy array", "give it to Segmenter.segment_array with its affine")),
    (0, b"\0\x05\x16\x07", FileKind("notes of macOS on a file (AppleDouble)", "give the file itself")),
    (0, b"version https://git-lfs",
     FileKind("a git-lfs pointer, not the file itself", "run git lfs pull", is_remnant=True)),
    (0, b"/annex/objects/",
     FileKind("a git-annex pointer, not the file itself", "run git annex get FILE", is_remnant=True)),
)  # fmt: skip

# (beginning of a text in lower case, without leading white space; kind)
_TEXTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"<!doctype html", FileKind("a web page (HTML)", _DOWNLOAD)),
    (b"<html", FileKind("a web page (HTML)", _DOWNLOAD)),
    (b"<?xml", FileKind("an XML text", _TEXT_IS_NO_SCAN)),
    (b"objecttype", FileKind("a MetaImage header", _ITK)),
    (b"ndims", FileKind("a MetaImage header", _ITK)),
    (b"{", FileKind("a JSON text", _TEXT_IS_NO_SCAN)),
)


def kind_of_bytes(start: bytes) -> FileKind | None:
    """Returns the kind of a file from its first `SNIFFED_BYTES` (fewer of a short file); None if unknown."""
    if not start:
        return FileKind("an empty file", "copy or export it again", is_remnant=True)
    for first, signature, kind in _SIGNATURES:
        if start[first : first + len(signature)] == signature:
            return kind
    if _begins_as_implicit_dicom(start):
        return _DICOM
    if len(start) >= SHORTEST_HEADER and not start.strip(b"\0"):
        advice = "it was copied or downloaded in part, so copy it again"
        return FileKind("a file that begins with nothing but zeros", advice, is_remnant=True)
    kind = _kind_of_text(start)
    if kind is None and len(start) < SHORTEST_HEADER:
        return FileKind(f"the first {len(start)} bytes of a file", "copy or export it again", is_remnant=True)
    return kind


def _begins_as_implicit_dicom(start: bytes) -> bool:
    """Whether the first element is a short one of group 8, as in a file without preamble and value representations."""
    group, element, length = (int.from_bytes(start[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8)))
    return group == 8 and element in _FIRST_ELEMENTS and length % 2 == 0 and length <= _LONGEST_FIRST_ELEMENT


def kind_of_file(path: Path) -> FileKind | None:
    """Returns the kind of a file, or of a folder by its files; None if it is unknown or cannot be read.

    Raises:
        ResourceError: file descriptors ran out, or the disk failed; so in all functions here that read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _kind_of_folder(path)
        if stat.S_ISREG(mode) and _is_zipped_bundle(path):
            return BUNDLE
        return _kind_by_start(path)
    except (OSError, ValueError) as error:  # no permission or an invalid name: opening the file reports that
        raise_shortage(error, f'"{path.name}"')
        return None


def _kind_by_start(path: Path) -> FileKind | None:
    """Returns the kind of a file by its first bytes; None if it is unknown, or no regular file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the name is none of a file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb", buffering=0) as file:
        return kind_of_bytes(file.read(SNIFFED_BYTES))


def is_dicom(path: Path) -> bool:
    """Whether a file begins as a DICOM file does, with or without the preamble; False where it cannot be read."""
    try:
        return _kind_by_start(path) == _DICOM
    except (OSError, ValueError) as error:  # no permission or an invalid name: opening the file reports that
        raise_shortage(error, f'"{path.name}"')
        return False


def is_dicom_series(path: Path) -> bool:
    """Whether a path is a DICOM file, or a folder with such files, also in its subfolders."""
    return kind_of_file(path) in (_DICOM, _DICOM_FOLDER)


def remnant(path: Path) -> str:
    """Returns what a file is that may have lost its content, such as ``"an empty file"``; empty for any other.

    A file that cannot be opened, such as a link that leads nowhere, is one too.
    """
    try:
        kind = _kind_by_start(path)
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        return f"a file that cannot be read ({error.strerror})"
    return kind.name if kind is not None and kind.is_remnant else ""


def has_nifti_magic(path: Path) -> bool:
    """Whether a file, gzip or plain, has the magic bytes of a NIfTI header."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(SNIFFED_BYTES)
        if start.startswith(GZIP_MAGIC):
            start = zlib.decompressobj(GZIP_WINDOW).decompress(start, SNIFFED_BYTES)
    except (OSError, ValueError, zlib.error) as error:
        raise_shortage(error, f'"{path.name}"')
        return False
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def _kind_of_text(start: bytes) -> FileKind | None:
    words = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, kind in _TEXTS:
        if words.startswith(beginning):
            return kind
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # else the last letter was cut in two
            return None
        text = start[: error.start].decode("utf-8")
    plain = text and all(letter.isprintable() or letter.isspace() for letter in text)
    return FileKind("a text file", _TEXT_IS_NO_SCAN) if plain else None


def contents_of(folder: Path) -> str:
    """Returns a description of a folder without NIfTI files, to complete a command's message that there are none."""
    kind = kind_of_file(folder)
    return "found none" if kind is None else f"got {without_segment_options(str(kind))}"


def _kind_of_folder(folder: Path) -> FileKind | None:
    if (folder / _BUNDLE_FILE).is_file():
        return BUNDLE
    is_series = any(path.name == "DICOMDIR" or is_dicom(path) for path in first_files(folder))
    return _DICOM_FOLDER if is_series else None


def first_files(folder: Path) -> Iterator[Path]:
    """Returns the first 10,000 files of a folder, then of its subfolders, without hidden files."""
    return islice(_files(folder), _MOST_FILES)


def _files(folder: Path) -> Iterator[Path]:
    for files in walk_folder(folder, lambda error: raise_shortage(error, f'"{folder.name}"')):
        yield from (file for file in files if not file.name.startswith("."))


def _is_zipped_bundle(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TABLE_BYTES))
        return _BUNDLE_FILE.encode() in file.read(_TABLE_BYTES)
