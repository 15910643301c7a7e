"""Zips a bundle so that the same bundle always gives the same bytes."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from .. import arguments
from ..errors import UsageError
from ..files.atomic import atomic_write
from .bundle import Bundle

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of the times that a zip can hold
_UNIX = 3  # the system whose permissions a zip holds
_PERMISSIONS = stat.S_IFREG | 0o644


def zip_bundle(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Zips a verified bundle reproducibly: the bytes depend on the contents of its files alone.

    Names are sorted; times and permissions are fixed. The files are stored, not deflated: releases of zlib deflate
    differently, and weights shrink little.

    Args:
        path: bundle, a directory or a zip.
        out: zip to write; an existing file is replaced. It may be ``path`` itself where that is a zip.

    Returns:
        ``out`` as a path.

    Raises:
        UsageError: an argument is not a path, or ``out`` lies in the bundle.
        BundleError: the bundle is refused, or a file was changed meanwhile.
        ResourceError: the zip cannot be written.
    """
    path, out = arguments.path("bundle", path), arguments.path("out", out)
    with (
        Bundle.open(path) as bundle,
        atomic_write(out) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        if path.resolve() in temporary.parents:
            raise UsageError(f'"{out.name}" lies in the bundle itself; choose a path beside it')
        unlisted = bundle.unlisted()
        for name in sorted({*unlisted, *bundle.manifest.files}):
            member = zipfile.ZipInfo(name, _EARLIEST)
            member.create_system, member.external_attr = _UNIX, _PERMISSIONS << 16
            archive.writestr(member, unlisted[name] if name in unlisted else bundle.read(name))
    return out
