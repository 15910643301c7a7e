"""Receives one upload: the request's body goes to a file, within limits of size, time and speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from ..runtime.errors import ExitCode
from .disk_room import require_room
from .refusal import RefusedError
from .settings import Settings

_BLOCK = 2**20  # bytes that are written at once
_LOOKED_AT = 2**26  # bytes after which the room on the disk is looked at again


def declared_bytes(length: str | None, settings: Settings) -> int:
    """Returns the size that a request's Content-Length declares; 0 where it has none.

    Raises:
        RefusedError: it is no number, is 0, or above the limit.
    """
    if length is None:
        return 0
    if not (length.isascii() and length.isdecimal()):
        raise RefusedError(400, "Content-Length is no number", ExitCode.USAGE)
    if len(length) > 18 or int(length) > settings.upload_bytes:
        raise _too_large(settings)
    if int(length) == 0:
        raise _empty()
    return int(length)


async def receive(body: AsyncIterator[bytes], target: Path, settings: Settings) -> int:
    """Writes a body to a new file.

    Args:
        body: the parts of the body, as they come.
        target: the file.
        settings: the limits.

    Returns:
        Its size in bytes.

    Raises:
        RefusedError: the body is empty, too large, or too slow, or the disk is full.
    """
    size = looked_at = 0
    block = bytearray()
    began = time.monotonic()
    parts = aiter(body)
    with target.open("xb") as file:
        while True:
            try:
                part = await asyncio.wait_for(anext(parts), settings.grace_seconds)
            except StopAsyncIteration:
                break
            except asyncio.TimeoutError:
                raise _too_slow() from None
            size += len(part)
            if size > settings.upload_bytes:
                raise _too_large(settings)
            if size < settings.slowest * (time.monotonic() - began - settings.grace_seconds):
                raise _too_slow()
            block += part
            if len(block) >= _BLOCK:
                await asyncio.to_thread(file.write, bytes(block))
                block.clear()
            if size - looked_at >= _LOOKED_AT:
                looked_at = size
                require_room(target.parent)
        await asyncio.to_thread(file.write, bytes(block))
    if not size:
        raise _empty()
    return size


def _too_large(settings: Settings) -> RefusedError:
    return RefusedError(
        413,
        f"an upload may have {settings.upload_bytes / 2**20:,.0f} MiB; crop the scan",
        ExitCode.INPUT,
    )


def _too_slow() -> RefusedError:
    return RefusedError(408, "the upload came too slowly; send it again over a faster connection", ExitCode.INPUT)


def _empty() -> RefusedError:
    return RefusedError(
        422, "expected a NIfTI file or a zip of DICOM files as the request's body, got nothing", ExitCode.INPUT
    )
