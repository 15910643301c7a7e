"""The options that say what a student imitates: its teachers' probabilities, where, and by which loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...runtime.errors import UsageError
from .paths import input_option

_PANEL = "Imitation"


@dataclass(frozen=True, kw_only=True)
class ImitationOptions:
    """The imitation loss, where its targets come from, and the scans without labels."""

    unlabelled: Annotated[
        Path | None,
        input_option(
            "--unlabelled",
            help="Folder of scans without labels, besides those that the data set lists.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    unlabelled_share: Annotated[
        float | None,
        typer.Option(
            "--unlabelled-share",
            help="Share of crops from scans without labels, 0 or more and less than 1.",
            show_default="0.5 if there are such scans",
            rich_help_panel=_PANEL,
        ),
    ] = None
    pseudo_labels: Annotated[
        bool,
        typer.Option(
            "--pseudo-labels/--no-pseudo-labels",
            help="Use the teachers' most probable class as the label of scans without labels.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    imitation: Annotated[
        Literal["mse", "dice-ce"],
        typer.Option(
            "--imitation",
            help="Loss between student and teacher: the paper's mean squared error, or the loss that labels have.",
            rich_help_panel=_PANEL,
        ),
    ] = "mse"
    teacher_targets: Annotated[
        Literal["cached", "online"],
        typer.Option(
            "--teacher-targets",
            help="cached: teachers segment each case once, before training; online: they see the student's very crops.",
            rich_help_panel=_PANEL,
        ),
    ] = "cached"

    def check(self, lam: float | None) -> None:
        """Refuses options without an effect.

        Args:
            lam: λ of the training; None for the several of a sweep.

        Raises:
            UsageError: an option has no effect.
        """
        if self.unlabelled is not None and self.unlabelled_share == 0:
            raise UsageError("--unlabelled-share 0 leaves out the scans of --unlabelled: leave one of them out")
        if lam != 1:
            return
        for option, given in (
            ("--imitation", self.imitation != ImitationOptions.imitation),
            ("--teacher-targets", self.teacher_targets != ImitationOptions.teacher_targets),
        ):
            if given:
                raise UsageError(f"{option} has no effect at λ = 1, where nothing is imitated: leave it out")
