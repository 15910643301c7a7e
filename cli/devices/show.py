"""`bedside devices show`: all that is known of one device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from ..terminal.console import Console
from .tables import device_tables


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show all figures of one device, with their sources.

    Example: bedside devices show orin-nano-8
    """

    name: Annotated[
        str,
        typer.Argument(
            help="Device, as `bedside devices list` names it, or a .toml file of your own.", show_default=False
        ),
    ]
    console: Console

    def __call__(self) -> None:
        """Shows the figures."""
        import msgspec

        from ...devices import load_profile
        from ...devices.hardware.device_profile import software

        profile = load_profile(self.name)
        installed = {key: software()[key] for key in profile.software}
        self.console.show(*device_tables(profile, installed))
        self.console.emit({**msgspec.to_builtins(profile), "software": msgspec.to_builtins(installed)})
