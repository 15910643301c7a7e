"""Writes the manifest of a bundle directory, with the hash of every file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .. import arguments
from ..errors import ResourceError
from ..files.atomic import atomic_write
from ..files.hashing import file_sha256
from ..files.system_files import is_folder
from .manifest import (
    CHECKSUM_NAME,
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    checksum_line,
    decode_manifest,
)
from .trusted_keys import SIGNATURE_NAME
from .verification import UNLISTED, check_names, file_names


def write_manifest(directory: Path, manifest: Manifest) -> Manifest:
    """Hashes every file of a bundle directory and writes `bundle.json` and `bundle.sha256` there.

    A signature of an earlier manifest is removed.

    Args:
        directory: folder with all files of the bundle; an old `bundle.json` is replaced.
        manifest: the manifest; its ``files`` are replaced by the sizes and hashes found, its schema version by the
            present one.

    Returns:
        The manifest as written.

    Raises:
        UsageError: ``directory`` is not a path, or ``manifest`` not a `Manifest`.
        BundleError: a file does not belong in a bundle, or the manifest names a missing file.
        ResourceError: the directory cannot be written.
    """
    directory = arguments.path("directory", directory)
    manifest = arguments.instance("manifest", manifest, Manifest)
    if not is_folder(directory):
        raise ResourceError(f'"{directory.name}": expected the folder that holds the bundle\'s files, found none')
    names = sorted(file_names(directory) - UNLISTED)
    paths = {name: directory / name for name in names}
    files = {name: FileEntry(size=path.stat().st_size, sha256=file_sha256(path)) for name, path in paths.items()}
    complete = msgspec.structs.replace(manifest, files=files, schema_version=SCHEMA_VERSION)
    check_names(complete)
    content = complete.encoded()
    decode_manifest(content)  # fail here rather than on the device
    (directory / SIGNATURE_NAME).unlink(missing_ok=True)
    for name, data in ((MANIFEST_NAME, content), (CHECKSUM_NAME, checksum_line(content))):
        with atomic_write(directory / name) as temporary:
            temporary.write_bytes(data)
    return complete
