"""Reads how much memory the machine has, and how much of it is free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..files.system_files import read_text, whole_number


@dataclass(frozen=True)
class MachineMemory:
    """Memory of a machine, in bytes.

    Attributes:
        total: memory that the system manages; None where not readable.
        available: the kernel's estimate of what programs can still allocate; None where not readable.
    """

    total: int | None
    available: int | None

    @property
    def used(self) -> int | None:
        """What all programs and the system hold; None where not readable."""
        return None if self.total is None or self.available is None else self.total - self.available


def read_meminfo(root: Path = Path("/")) -> MachineMemory:
    """Reads ``/proc/meminfo``; a line that is missing or damaged counts as not readable.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    lines = (line.split() for line in read_text(root / "proc/meminfo").splitlines())
    kilobytes = {line[0]: whole_number(line[1]) for line in lines if len(line) >= 2}
    total, available = (kilobytes.get(name) for name in ("MemTotal:", "MemAvailable:"))
    return MachineMemory(None if total is None else total * 1024, None if available is None else available * 1024)
