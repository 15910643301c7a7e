"""The options that say what a student imitates: its teachers' probabilities, where, and by which loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

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
