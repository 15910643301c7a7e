"""`bedside devices detect`: this machine, and what its engines run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..terminal.console import Console
from .tables import engine_table, machine_table


@dataclass(frozen=True, kw_only=True)
class Detect:
    """Show this machine, and the devices that its engines run on.

    Everything is read without privileges; what this user may not read is left out.

    Example: bedside devices detect
    """

    console: Console

    def __call__(self) -> None:
        """Shows the machine."""
        self.console.emit(show_machine(self.console))


def show_machine(console: Console) -> dict[str, Any]:
    """Shows this machine and its engines, and returns both for JSON."""
    import msgspec

    from ...devices import detect
    from ...runtime.engines import available_engines, inference_devices

    host = detect()
    engines = {name: inference_devices(name) for name in available_engines()}
    console.show(machine_table(host), engine_table(engines))
    return {"host": msgspec.to_builtins(host), "engines": msgspec.to_builtins(engines)}
