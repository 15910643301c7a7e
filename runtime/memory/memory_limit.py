"""Refuses work that needs more memory than is free, or than the caller's limit leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ResourceError
from .free_memory import free_memory
from .resident import owed_bytes, resident_bytes

_ADVICE = "crop the scan"

# The limit to advise, as a multiple of what is needed: what a process holds differs by some 10 % from one start to the
# next, and under a higher limit an engine may take further streams, with up to a quarter of it (`STREAM_SHARE`).
_LIMIT_FOR_NEED = 4 / 3

# Reserves bytes for a ``with`` block; what needs them and the advice where they are refused are as in `check`.
Reserve: TypeAlias = Callable[[int, str, str], AbstractContextManager[object]]


@dataclass(frozen=True)
class MemoryBudget:
    """The memory that the next scan of this process may take.

    Attributes:
        held: bytes that the process holds, or that others of its scans and its next helper will take.
        free: bytes that are free besides.
        limit: bytes that the process may hold in total; None for all free memory.
    """

    held: int
    free: int
    limit: int | None

    @classmethod
    def now(cls, limit: int | None, reserved: int) -> MemoryBudget:
        """Measures the budget.

        Args:
            limit: bytes that the process may hold in total; None for all free memory.
            reserved: bytes that the engine and other scans in this process will allocate.
        """
        promised = reserved + owed_bytes()
        return cls(resident_bytes() + promised, free_memory() - promised, limit)

    @property
    def available(self) -> int:
        """Bytes that the scan may take."""
        return self.free if self.limit is None else min(self.free, self.limit - self.held)

    def check(self, needed: int, what: str = "this scan", advice: str = _ADVICE) -> None:
        """Checks that the scan may take so many bytes.

        Args:
            needed: the bytes.
            what: what needs them, for the message.
            advice: what the user can do beside freeing memory or raising the limit.

        Raises:
            ResourceError: it may not; the message names the limit and one that suffices, or what is free.
        """
        if needed <= self.available:
            return
        if self.limit is not None and self.limit - self.held <= self.free:
            raise ResourceError(
                f"with {what} the process needs about {_at_least(self.held + needed)}, "
                f"the limit is {_at_most(self.limit)}; "
                f"raise the limit to {_at_least(_LIMIT_FOR_NEED * (self.held + needed))} or {advice}"
            )
        raise ResourceError(
            f"{what} needs about {_at_least(needed)}, {_at_most(max(self.free, 0))} are free; free memory or {advice}"
        )


def check_memory(what: str, needed: int, advice: str = _ADVICE) -> None:
    """Checks that an amount of memory is free, whatever the limit; arguments as `MemoryBudget.check`.

    Raises:
        ResourceError: fewer bytes are free.
    """
    MemoryBudget(held=0, free=free_memory(), limit=None).check(needed, what, advice)


def if_free(needed: int, what: str, advice: str) -> AbstractContextManager[object]:
    """Checks that memory is free and reserves none: a `Reserve` for work outside of a segmenter."""
    check_memory(what, needed, advice)
    return nullcontext()


def _at_least(count: float) -> str:
    """Returns what is needed, rounded up: the figure shown suffices, and is never that of the limit."""
    return f"{math.ceil(count / 2**20):,} MiB"


def _at_most(count: int) -> str:
    return f"{count // 2**20:,} MiB"
