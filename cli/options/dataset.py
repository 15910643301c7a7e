"""The data set of a command, and the options that say how a training uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...runtime.errors import UsageError
from ...runtime.task import Task
from ...runtime.task_presets import load_task
from .paths import input_argument, output_option

if TYPE_CHECKING:
    from ...training.data.dataset import Dataset

_PANEL = "Data"
_DATASET = input_argument(
    help="MSD dataset.json or its folder, nnU-Net raw folder, MONAI data list, or a folder for each patient.",
    show_default=False,
)
DatasetArgument = Annotated[Path, _DATASET]
OptionalDatasetArgument = Annotated[Path | None, _DATASET]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Grid and patch, the split into training and validation cases, and where prepared cases are kept."""

    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--spacing", help="Voxel size x y z in mm instead of the task's.", rich_help_panel=_PANEL),
    ] = None
    patch: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--patch", help="Patch x y z in voxels instead of the task's.", rich_help_panel=_PANEL),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            min=0,
            help="Validate on this fold, as the list or nnU-Net's splits_final.json says.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            "--validation-fraction",
            help="Validate on this share of the training cases, if none are listed.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    cases: Annotated[
        Path | None,
        output_option(
            "--cases",
            help="Folder of prepared cases, shared by runs.",
            show_default="bedside-cases beside the run directory",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def task(self, name: str) -> Task:
        """Loads a task and replaces its spacing and patch where the options give them.

        Args:
            name: a preset or the path of a TOML file.

        Raises:
            UsageError: the task is unknown, or its spacing or patch is not valid.
            InputError: the task file is not valid.
        """
        return self.changed(load_task(name))

    def changed(self, task: Task) -> Task:
        """Returns a task with its spacing and patch replaced where the options give them.

        Raises:
            UsageError: spacing or patch is not valid.
        """
        given: dict[str, Any] = {"spacing": self.spacing, "patch": self.patch}
        changes = {field: value for field, value in given.items() if value is not None}
        return task.replaced(**changes) if changes else task

    def dataset(self, path: Path, labels: Sequence[str] | None) -> Dataset:
        """Reads a data set; with --fold or --validation-fraction, splits its cases into training and validation.

        Args:
            path: JSON file or folder.
            labels: label names, background first, for a data set without label names; None refuses such a data set.

        Raises:
            InputError: the data set is refused.
            UsageError: the split cannot be made, or both options are given.
        """
        from ...training.data.dataset import NoFoldError, load_dataset

        dataset = load_dataset(path, labels=labels)
        if self.fold is None and self.validation_fraction is None:
            return dataset
        try:
            return dataset.split(fold=self.fold, fraction=self.validation_fraction)
        except NoFoldError as error:
            raise UsageError(f"{error}, or give --validation-fraction 0.2 in place of --fold") from None
