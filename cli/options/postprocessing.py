"""The options that ask for post-processing: `bedside segment` for one run, `bedside export` for the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import UsageError

if TYPE_CHECKING:
    from ...runtime.labels.postprocess import Postprocessing

LargestComponentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--largest-component", metavar="LABEL|all", help="Keep only the largest component of a label; may be repeated."
    ),
]
MinVolumeOption = Annotated[
    list[str] | None,
    typer.Option("--min-volume", metavar="LABEL=ML", help="Remove components below so many ml; may be repeated."),
]
WithinBodyOption = Annotated[bool, typer.Option("--within-body", help="Remove labels outside the body.")]
NoPostprocessingOption = Annotated[
    bool, typer.Option("--no-postprocessing", help="Leave the label map as it is, whatever the bundle says.")
]


def postprocessing_of(
    largest_component: Sequence[str] | None, min_volume: Sequence[str] | None, within_body: bool, none: bool = False
) -> Postprocessing | None:
    """Returns the post-processing that the options ask for; None if no option was given.

    Raises:
        UsageError: an option has an invalid value, or the options exclude each other.
    """
    if not (largest_component or min_volume or within_body):
        if not none:
            return None
        from ...runtime.labels.postprocess import Postprocessing

        return Postprocessing()
    if none:
        raise UsageError("--no-postprocessing excludes --largest-component, --min-volume and --within-body")
    from ...runtime.labels.postprocess import Postprocessing

    labels = tuple(largest_component or ())
    try:
        return Postprocessing(
            largest_component="all" if "all" in labels else labels,
            min_volume_ml=dict(_least_volume(entry) for entry in min_volume or ()),
            within_body=within_body,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _least_volume(entry: str) -> tuple[str, float]:
    label, _, millilitres = entry.rpartition("=")
    try:
        return label, float(millilitres)
    except ValueError:
        raise UsageError(f'--min-volume: expected LABEL=ML such as liver=5, got "{entry}"') from None
