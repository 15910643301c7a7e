"""Zips a bundle so that the same bundle gives the same bytes."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from .. import arguments
from ..errors import UsageError
from ..files.atomic import atomic_write
from .bundle import Bundle
from .bundle_zip import MAX_EXPANSION, unpacked_limit

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of the times that a zip can hold
_LEVEL = 9  # of zlib: takes no longer than its default does, and shrinks more
_UNIX = 3  # the system whose permissions a zip holds
_PERMISSIONS = stat.S_IFREG | 0o644


def zip_bundle(path: str | os.PathLike[str], out: str | os.PathLike[str], *, stored: bool = False) -> Path:
    """Zips a verified bundle reproducibly: the bytes depend on the contents of its files, and on zlib's release.

    Names are sorted; times and permissions are fixed. A file that would shrink to less than a hundredth is stored where
    the zip would otherwise unpack to more than `Bundle.open` allows.

    Args:
        path: bundle, a directory or a zip.
        out: zip to write; an existing file is replaced. It may be ``path`` itself where that is a zip.
        stored: whether the files are stored as they are. Then the bytes depend on the files alone: releases of zlib may
            deflate differently.

    Returns:
        ``out`` as a path.

    Raises:
        UsageError: an argument has the wrong type, or ``out`` lies in the bundle.
        BundleError: the bundle is refused, or a file was changed meanwhile.
        ResourceError: the zip cannot be written.
    """
    path, out = arguments.path("bundle", path), arguments.path("out", out)
    stored = arguments.flag("stored", stored)
    with Bundle.open(path) as bundle, atomic_write(out) as temporary:
        if path.resolve() in temporary.parents:
            raise UsageError(f'"{out.name}" lies in the bundle itself; choose a path beside it')
        names = {*bundle.unlisted(), *bundle.manifest.files}
        members = _write(bundle, temporary, names if stored else set())
        if sum(member.file_size for member in members) > unpacked_limit(temporary.stat().st_size):
            _write(bundle, temporary, {each.filename for each in members if _shrinks_too_much(each)})
    return out


def _write(bundle: Bundle, path: Path, stored: set[str]) -> list[zipfile.ZipInfo]:
    """Writes the zip and returns its members; those named in ``stored`` are not deflated."""
    unlisted = bundle.unlisted()
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted({*unlisted, *bundle.manifest.files}):
            member = zipfile.ZipInfo(name, _EARLIEST)
            member.create_system, member.external_attr = _UNIX, _PERMISSIONS << 16
            method = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            content = unlisted[name] if name in unlisted else bundle.read(name)
            archive.writestr(member, content, method, _LEVEL)
        return archive.infolist()


def _shrinks_too_much(member: zipfile.ZipInfo) -> bool:
    return member.file_size > MAX_EXPANSION * member.compress_size
