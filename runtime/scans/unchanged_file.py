"""Hashes the files of a scan and proves that they are those that were opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files.hashing import stream_sha256
from ..shortage import raise_shortage
from .byte_stream import Identity

if TYPE_CHECKING:
    from pathlib import Path


def unchanged_sha256(path: Path, identity: Identity) -> str:
    """Returns the SHA-256 of a file whose header was read before.

    Args:
        path: the file.
        identity: identity of the file when its header was read.

    Raises:
        InputError: the file cannot be read, or was changed or replaced since.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    try:
        with path.open("rb") as file:
            digest = stream_sha256(file)
            status = os.fstat(file.fileno())
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}": cannot be read ({error.strerror}); check the path and permissions') from None
    if Identity.of(status) != identity:
        raise InputError(f'"{path.name}": the file was changed while it was read; try again once it is complete')
    return digest
