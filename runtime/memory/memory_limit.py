"""Refuses work that needs more memory than is free, or than the caller's limit leaves."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResourceError
from .free_memory import free_memory
from .resident import resident_bytes

_ADVICE = "free memory or crop the scan"


@dataclass(frozen=True)
class MemoryBudget:
    """The memory that the next scan of this process may take.

    Attributes:
        held: bytes that the process holds, or that others of its scans have reserved.
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
        return cls(resident_bytes() + reserved, free_memory() - reserved, limit)

    @property
    def available(self) -> int:
        """Bytes that the scan may take."""
        return self.free if self.limit is None else min(self.free, self.limit - self.held)

    def check(self, needed: int) -> None:
        """Checks that the scan may take so many bytes.

        Raises:
            ResourceError: it may not; the message names the limit, or what is free.
        """
        if needed <= self.available:
            return
        if self.limit is not None and self.limit - self.held <= self.free:
            raise ResourceError(
                f"with this scan the process needs about {_mebibytes(self.held + needed)}, "
                f"the limit is {_mebibytes(self.limit)}; raise the limit or crop the scan"
            )
        raise _shortage("this scan", needed, max(self.free, 0), _ADVICE)


def check_memory(what: str, needed: int, advice: str = _ADVICE) -> None:
    """Checks that an amount of memory is free.

    Args:
        what: what needs the memory, as the subject of the message.
        needed: bytes that it needs.
        advice: what the user can do where they are not free.

    Raises:
        ResourceError: fewer bytes are free.
    """
    free = free_memory()
    if needed > free:
        raise _shortage(what, needed, free, advice)


def _shortage(what: str, needed: int, free: int, advice: str) -> ResourceError:
    return ResourceError(f"{what} needs about {_mebibytes(needed)}, {_mebibytes(free)} are free; {advice}")


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
