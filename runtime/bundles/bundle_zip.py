"""Unpacks a zipped bundle safely: nothing is written outside the target folder."""

from __future__ import annotations

import errno
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from ..errors import BundleError, ResourceError
from ..files.untrusted_zip import DAMAGED, METHODS, open_zip, unpack_member
from ..shortage import raise_shortage
from .manifest import MANIFEST_NAME

_MAX_MEMBERS = 1000
MAX_EXPANSION = 100  # unpacked bytes per packed byte; weights hardly shrink, a zip bomb expands a thousandfold
_ALWAYS_ALLOWED = 2**24  # bytes that may always be unpacked, whatever the expansion
_OF_FINDER = "__MACOSX/", ".DS_Store"  # what macOS adds to zips: it is no part of the bundle, and is left out
_TABLE_BYTES = 2**20  # of the zip's table of contents
# a seek before the file's start, one name for a file and a folder, a name too long for the disk
_CAUSED_BY_CONTENT = {errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def extract(archive: Path, target: Path, limit: int) -> None:
    """Checks names, kinds and declared sizes of a zip's members, then unpacks them; `Bundle` checks the hashes.

    If a single folder surrounds the bundle's files (as after zipping the folder itself), it is removed from the names.

    Args:
        archive: path of the zip.
        target: path of an empty folder.
        limit: bytes that all members may have together.

    Raises:
        BundleError: the file is not a zip, a member is a link or leads out of the folder, or has more bytes than
            declared.
        ResourceError: the disk is full.
    """
    try:
        with open_zip(archive, _TABLE_BYTES, _large_table) as source:
            members = _checked_members(source, min(limit, unpacked_limit(archive.stat().st_size)))
            if sum(member.file_size for member, _ in members) > shutil.disk_usage(target).free:
                raise ResourceError(
                    "no room in the temporary folder to unpack the bundle; free some, or unzip it yourself"
                )
            for member, name in members:
                _write(source, member, _inside(target, name))
    except DAMAGED as error:
        raise_shortage(error, f'"{archive.name}"')
        raise BundleError(
            f'"{archive.name}": expected a bundle, got no zip or a damaged one ({error}); copy it again'
        ) from None
    except OSError as error:
        if error.errno in _CAUSED_BY_CONTENT:
            raise BundleError(f'"{archive.name}": the zip is damaged ({error.strerror}); copy it again') from None
        raise ResourceError(f"the zipped bundle cannot be unpacked: {error.strerror}") from None


def unpacked_limit(packed: int) -> int:
    """Returns the bytes to which a zip of so many bytes may unpack."""
    return max(_ALWAYS_ALLOWED, MAX_EXPANSION * packed)


def _large_table(size: int) -> BundleError:
    return BundleError(f"the zip's table of contents takes {size:,} bytes; a bundle has some ten files")


def _checked_members(source: zipfile.ZipFile, limit: int) -> list[tuple[zipfile.ZipInfo, str]]:
    infos = source.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise BundleError(f"the zip has {len(infos)} members; a bundle has some ten")
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BundleError(f'"{info.filename}" in the zip is a link or device; a bundle holds plain files only')
        if info.compress_type not in METHODS:
            raise BundleError(f'"{info.filename}" in the zip: expected plain or deflated; zip it again')
        # Python 3.12 and later take `filename` from the Unicode Path field (0x7075) as it stands, where there is one.
        if info.filename != info.orig_filename or not is_safe_name(info.orig_filename.removesuffix("/")):
            raise BundleError(f'"{info.orig_filename}" in the zip leads out of the bundle, or is no plain name')
    if sum(info.file_size for info in infos) > limit:
        raise BundleError(f"the zip unpacks to more than {limit} bytes")
    files = [info for info in infos if not info.is_dir() and not _is_of_finder(info.filename)]
    paths = [PurePosixPath(info.filename) for info in files]
    around = {path.parent.as_posix() for path in paths if path.name == MANIFEST_NAME}
    prefix = around.pop() + "/" if len(around) == 1 else ""
    prefix = "" if prefix == "./" else prefix
    if not all(info.filename.startswith(prefix) for info in files):
        raise BundleError(f"the zip has files beside the folder that holds {MANIFEST_NAME}")
    members = [(info, info.filename[len(prefix) :]) for info in files]
    if len({name.casefold() for _, name in members}) != len(members):
        raise BundleError("the zip has two members of one name")
    return members


def _is_of_finder(name: str) -> bool:
    folder, file = _OF_FINDER
    return name.startswith(folder) or PurePosixPath(name).name == file


def _inside(folder: Path, name: str) -> Path:
    """Returns the path of a member in the folder, once more sure that it is there: an overlooked name does no harm."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f'"{name}" in the zip leads out of the bundle')
    return path


def _write(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unpack_member(source, member, target)


def is_safe_name(name: str) -> bool:
    """Whether a POSIX path is relative, printable ASCII, and stays inside its folder, also on Windows.

    Other characters may clash on some file systems, look like another name, or control the terminal.

    >>> is_safe_name("openvino/model.xml"), is_safe_name("../model.xml")
    (True, False)
    """
    parts = name.split("/")
    plain = name.isascii() and name.isprintable() and not any(bad in name for bad in "\\:")
    return plain and all(part.rstrip(". ") == part != "" for part in parts)
