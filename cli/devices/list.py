"""`bedside devices list`: the devices with known figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..terminal.console import Console
from .tables import profile_table


@dataclass(frozen=True, kw_only=True)
class List:
    """List the devices with known figures, for which `bedside plan --device` predicts.

    Example: bedside devices list
    """

    console: Console

    def __call__(self) -> None:
        """Lists the devices."""
        self.console.emit(show_known(self.console))


def show_known(console: Console) -> dict[str, Any]:
    """Lists the known devices, this machine among them with a mark, and returns them for JSON."""
    import msgspec

    from ...devices import detect, profiles

    console.show(profile_table(profiles(), detect().profile))
    return {"profiles": msgspec.to_builtins(profiles())}
