"""Unpacks a zip of DICOM files under numbers in place of names, within limits of count and size."""

from __future__ import annotations

import errno
import stat
import zipfile
from pathlib import Path

from ..runtime.errors import InputError
from ..runtime.files.untrusted_zip import DAMAGED, METHODS, open_zip, unpack_member
from ..runtime.shortage import raise_shortage
from .disk_room import require_room

_EXPANSION = 200  # unpacked bytes per packed byte; scans shrink to a third, a zip bomb expands a thousandfold
_ALWAYS_ALLOWED = 2**28  # bytes that may always be unpacked: phantoms shrink more
_TABLE_BYTES = 2**22  # of the zip's table of contents


def unzip(archive: Path, target: Path, most_files: int, most_bytes: int) -> int:
    """Unpacks the files of a zip as ``00000.dcm``, ``00001.dcm``, …: no name of the zip reaches the disk.

    A hidden file gets a hidden name, such as ``.00002.dcm``, and a DICOMDIR is left out, so that `open_series` takes
    them as it does in a folder.

    Args:
        archive: the zip.
        target: folder to make.
        most_files: files that the zip may have.
        most_bytes: bytes that they may have together.

    Returns:
        The number of files.

    Raises:
        InputError: the zip is damaged, encrypted, has links, too many files or too many bytes.
        RefusedError: there is no room on the disk.
        OSError: the disk is full all the same.
    """
    target.mkdir(mode=0o700)
    try:
        with open_zip(archive, _TABLE_BYTES, _large_table) as source:
            limit = min(most_bytes, max(_ALWAYS_ALLOWED, _EXPANSION * archive.stat().st_size))
            members = _checked(source, most_files, limit)
            require_room(target, sum(member.file_size for member in members))
            for number, member in enumerate(members):
                hidden = "." if any(part.startswith(".") for part in _with_slashes(member).split("/")) else ""
                unpack_member(source, member, target / f"{hidden}{number:05d}.dcm")
    except DAMAGED as error:
        raise_shortage(error, "the zip")
        raise _damaged(error) from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # a seek to before the file's start
            raise _damaged(error) from None
        raise
    return len(members)


def _damaged(error: Exception) -> InputError:
    return InputError(f"expected a zip of DICOM files, got a damaged one ({type(error).__name__}); zip it again")


def _large_table(size: int) -> InputError:
    return InputError(f"the zip's table of contents takes {size:,} bytes; zip the slices of one series")


def _checked(source: zipfile.ZipFile, most_files: int, most_bytes: int) -> list[zipfile.ZipInfo]:
    infos = source.infolist()
    if len(infos) > most_files:
        raise InputError(f"the zip has {len(infos):,} files, {most_files:,} are allowed; zip the slices of one series")
    for info in infos:
        name = _with_slashes(info)
        if name.startswith("/") or ".." in name.split("/") or "\0" in name or name[1:2] == ":":
            raise InputError("a file in the zip leads out of its folder; zip the series' folder")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError("the zip has a link or a device; zip plain files only")
        if info.compress_type not in METHODS:
            raise InputError("a file in the zip is packed by another method than deflate; zip the series again")
        if info.flag_bits & 1:
            raise InputError("the zip is encrypted; zip the series without a password")
    if sum(info.file_size for info in infos) > most_bytes:
        raise InputError(
            f"the zip unpacks to more than {most_bytes / 2**20:,.0f} MiB; zip the slices of one series alone"
        )
    return [info for info in infos if not info.is_dir() and _last_name(info) != "DICOMDIR"]


def _with_slashes(info: zipfile.ZipInfo) -> str:
    return info.orig_filename.replace("\\", "/")


def _last_name(info: zipfile.ZipInfo) -> str:
    return _with_slashes(info).rpartition("/")[2]
