"""The options that name the network to export: a student's run, or a network that bedside did not train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import InputError, UsageError
from .paths import input_argument, input_option

if TYPE_CHECKING:
    from ...training.trained_student import TrainedStudent

_PANEL = "Networks of others"


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The source of the network, and what a source leaves open."""

    source: Annotated[
        Path | None,
        input_argument(
            help="Run directory of a student; MONAI bundle (folder or zip); or folder of a trained nnU-Net v2.",
            show_default=False,
        ),
    ] = None
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="MODULE:CALLABLE",
            help="Instead of a source: what builds a torch network, [B, 1, D, H, W] to [B, C, D, H, W].",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    weights: Annotated[
        Path | None,
        input_option(
            "--weights",
            help="Its weights, .safetensors or .pt with tensors alone; of a MONAI bundle, instead of models/model.pt.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    task: Annotated[
        str | None,
        typer.Option("--task", help="Its task: name or TOML file.", show_default=False, rich_help_panel=_PANEL),
    ] = None
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold",
            help="Fold of an nnU-Net: 0, 1, … or all.",
            show_default="the only one",
            rich_help_panel=_PANEL,
        ),
    ] = None
    orientation: Annotated[
        str | None,
        typer.Option(
            "--orientation",
            metavar="CODES",
            help="Axes of the training scans as stored, such as LPS, where the network was trained on scans as stored.",
            show_default="that of the --calibration scans",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def check(self) -> None:
        """Checks that there is one source, before anything else is asked for.

        Raises:
            UsageError: none is given, or two.
            InputError: it does not exist.
        """
        if (self.source is None) == (self.network is None):
            raise UsageError("export: expected either a run, MONAI bundle or nnU-Net folder, or --network")
        if self.source is not None and not self.source.exists():
            raise InputError(
                f'"{self.source.name}" does not exist; expected a run directory, a MONAI bundle or a trained nnU-Net'
            )

    def opened(self, calibration: Path | None) -> TrainedStudent:
        """Opens the network with its task.

        Args:
            calibration: a data set, whose scans say how the training scans are stored; None for none.

        Raises:
            UsageError: options are missing or contradict each other, or the network does not suit its task.
            InputError: the source is refused.
        """
        self.check()
        if self.network is not None:
            return self._own(self.network)
        return self._of_source(self.source or Path(), calibration)

    def _own(self, network: str) -> TrainedStudent:
        from ...export.networks import open_network
        from ...runtime.task_presets import load_task

        self._refuse("--network", fold=self.fold, orientation=self.orientation)
        if self.weights is None or self.task is None:
            raise UsageError("--network goes with --weights FILE and --task NAME or task.toml")
        return open_network(network, self.weights, load_task(self.task))

    def _of_source(self, source: Path, calibration: Path | None) -> TrainedStudent:
        from ...distill import load_student
        from ...export.networks.monai_bundle import METADATA, is_monai_bundle, open_monai_bundle
        from ...export.networks.nnunet import DATASET, PLANS, is_nnunet, open_nnunet
        from ...training.runs.run import Run

        if is_monai_bundle(source):
            self._refuse("a MONAI bundle", task=self.task, fold=self.fold)
            return open_monai_bundle(source, weights=self.weights, orientation=self.orientation, dataset=calibration)
        if is_nnunet(source):
            self._refuse("an nnU-Net", task=self.task, weights=self.weights)
            return open_nnunet(source, fold=self.fold, orientation=self.orientation, dataset=calibration)
        if not (source / Run.CONFIG).is_file():
            raise InputError(
                f'"{source.name}" is not a run directory, no MONAI bundle ({METADATA}) and no trained nnU-Net '
                f"({PLANS} and {DATASET})"
            )
        options = {"task": self.task, "weights": self.weights, "fold": self.fold, "orientation": self.orientation}
        self._refuse("a student's run", **options)
        return load_student(source)

    def _refuse(self, source: str, **options: object) -> None:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise UsageError(f"--{given[0]} does not go with {source}")
