"""A job's progress as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from .job import Job

_LOOK_SECONDS = 0.1
_BEAT_SECONDS = 10.0  # a comment after so long without news shows a proxy that the connection is alive


async def job_events(job: Job, keep_seconds: float, is_closing: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yields ``progress`` events with the whole job as JSON, and ``end`` with its outcome.

    Args:
        job: the job.
        keep_seconds: how long a finished job is kept.
        is_closing: whether the service ends.
    """
    shown, quiet = None, 0.0
    while not is_closing():
        answer = job.answer(keep_seconds)
        seen = (answer.state, answer.done, answer.total)
        if answer.code is not None:
            yield _event("end", answer)
            return
        if seen != shown:
            shown, quiet = seen, 0.0
            yield _event("progress", answer)
        elif quiet >= _BEAT_SECONDS:
            quiet = 0.0
            yield b": waiting\n\n"
        await asyncio.sleep(_LOOK_SECONDS)
        quiet += _LOOK_SECONDS


def _event(kind: str, answer: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(answer) + b"\n\n"
