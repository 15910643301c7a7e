"""`bedside devices`: this machine, what its engines run on, and the devices with known figures."""

from __future__ import annotations

from dataclasses import dataclass

from ..terminal.console import Console
from .detect import show_machine
from .list import show_known


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Show this machine, its engines and the devices with known figures; measure this machine, or report on it.

    Without a command: what `detect` and `list` show, in one. Everything is read without privileges; what this user may
    not read is left out.

    Example: bedside devices

    Example: bedside devices show orin-nano-8
    """

    console: Console

    def __call__(self) -> None:
        """Shows the machine and the known devices."""
        self.console.emit(show_machine(self.console) | show_known(self.console))
