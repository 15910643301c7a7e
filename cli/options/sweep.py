"""The options of a sweep over λ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from ...runtime.errors import UsageError
from .hardware import HardwareOptions

_PANEL = "Sweep over λ"
_SEEDS = 3
_ONE_DEVICE = "a sweep trains on one device in each process"
_JOBS = "--jobs trains several students at a time"


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """The values of λ, the number of seeds, and how many trainings run at a time."""

    sweep_lambda: Annotated[
        str | None,
        typer.Option(
            "--sweep-lambda",
            help="Train once per λ and seed, such as 0,0.2,0.5,0.8,1, and compare Dice over λ; -o is a folder of runs.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            help="Trainings with each λ: seed, seed + 1, …",
            show_default=str(_SEEDS),
            rich_help_panel=_PANEL,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Trainings at a time.", show_default="1", rich_help_panel=_PANEL),
    ] = None

    @property
    def at_a_time(self) -> int:
        """Number of trainings at a time."""
        return self.jobs or 1

    def numbered(self, first: int) -> range:
        """Returns the seeds, from the first one on."""
        return range(first, first + (self.seeds or _SEEDS))

    def lambdas(self, lam: float | None, hardware: HardwareOptions) -> tuple[float, ...]:
        """Returns the values of λ; empty without a sweep.

        Args:
            lam: value of ``--lambda``; None if it was not given.
            hardware: devices and nodes of the command.

        Raises:
            UsageError: a value is no number in 0…1 or occurs twice, there is none, or options contradict each other.
        """
        if self.sweep_lambda is None:
            for option, value in (("--seeds", self.seeds), ("--jobs", self.jobs)):
                if value is not None:
                    raise UsageError(f"{option} goes with --sweep-lambda")
            return ()
        if lam is not None:
            raise UsageError("--lambda trains one student, --sweep-lambda one per λ: leave one of them out")
        if (hardware.devices or 1) * (hardware.nodes or 1) > 1:
            raise UsageError(f"{_ONE_DEVICE}: leave out --devices and --nodes; {_JOBS}")
        values = tuple(_value(text, self.sweep_lambda) for text in self.sweep_lambda.split(","))
        if len(set(values)) < len(values):
            raise UsageError(f'--sweep-lambda: expected every λ once, got "{self.sweep_lambda}"')
        return values


def check_not_launched() -> None:
    """Checks that neither torchrun nor SLURM has started this command several times: each would train the whole sweep.

    Raises:
        UsageError: one of them has.
    """
    from ...training.loop.hardware import launched_processes

    launcher, processes, nodes = launched_processes() or ("", 1, 1)
    if processes * nodes > 1:
        raise UsageError(f"{_ONE_DEVICE}: start it once, not {processes * nodes} times by {launcher}; {_JOBS}")


def _value(text: str, given: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f'--sweep-lambda: expected numbers from 0 to 1 with commas, such as 0,0.5,1, got "{given}"')
    return value
