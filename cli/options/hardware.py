"""The options that say where a training runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from ...runtime.errors import UsageError

if TYPE_CHECKING:
    from ...training.loop.hardware import Hardware, StrategyName

_PANEL = "Devices"


def _lower(value: str | None) -> str | None:
    return value and value.lower()  # as all names here are spelled


@dataclass(frozen=True, kw_only=True)
class HardwareOptions:
    """Devices, nodes, number format and loader threads."""

    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            callback=_lower,
            show_default="32-true",
            help="Number format: 32-true, or bf16-mixed on GPUs and on CPUs with bfloat16 instructions; auto takes "
            "bf16-mixed if a trial at the start finds it sound and faster.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    device: Annotated[
        str, typer.Option("--device", callback=_lower, help="auto, cpu or cuda.", rich_help_panel=_PANEL)
    ] = "auto"
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices",
            min=1,
            help="Devices on each node.",
            show_default="1, or as torchrun and SLURM say",
            rich_help_panel=_PANEL,
        ),
    ] = None
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes",
            min=1,
            help="Machines.",
            show_default="1, or as torchrun and SLURM say",
            rich_help_panel=_PANEL,
        ),
    ] = None
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            callback=_lower,
            help="auto, ddp (network on every device) or fsdp (spread over them).",
            rich_help_panel=_PANEL,
        ),
    ] = "auto"
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Threads that load crops.",
            show_default="up to 4 on a GPU, else 0",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def hardware(self) -> Hardware:
        """Returns the devices, nodes, strategy and loader threads to train with.

        Raises:
            UsageError: the device, strategy or number format is unknown.
        """
        from ...training.loop.hardware import Hardware, StrategyName
        from ...training.recipe import TrainingPrecision

        for option, value, accepted in (
            ("--device", self.device, ("auto", "cpu", "cuda")),
            ("--strategy", self.strategy, get_args(StrategyName)),
            ("--precision", self.precision, get_args(TrainingPrecision)),
        ):
            if value is not None and value not in accepted:
                expected = f"{', '.join(accepted[:-1])} or {accepted[-1]}"
                raise UsageError(f'{option}: expected {expected}, got "{value}"')
        return Hardware(self.device, self.devices, self.nodes, cast("StrategyName", self.strategy), self.workers)
