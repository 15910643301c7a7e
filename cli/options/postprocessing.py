"""The options that ask for post-processing: `bedside segment` for one run, `bedside export` for the bundle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import UsageError

if TYPE_CHECKING:
    from ...runtime.labels.postprocess import Postprocessing


@dataclass(frozen=True, kw_only=True)
class PostprocessingOptions:
    """What to remove from a label map."""

    largest_component: Annotated[
        list[str] | None,
        typer.Option(
            "--largest-component",
            metavar="LABEL|all",
            help="Keep only the largest component of a label; may be repeated.",
        ),
    ] = None
    min_volume: Annotated[
        list[str] | None,
        typer.Option("--min-volume", metavar="LABEL=ML", help="Remove components below so many ml; may be repeated."),
    ] = None
    within_body: Annotated[bool, typer.Option("--within-body", help="Remove labels outside the body.")] = False

    def requested(self, *, none: bool = False) -> Postprocessing | None:
        """Returns the post-processing that the options ask for; None if no option was given.

        Args:
            none: whether another option asks for no post-processing at all.

        Raises:
            UsageError: an option has an invalid value, or the options exclude each other.
        """
        given = bool(self.largest_component or self.min_volume or self.within_body)
        if given and none:
            raise UsageError("--no-postprocessing excludes --largest-component, --min-volume and --within-body")
        if not given and not none:
            return None
        from ...runtime.labels.postprocess import Postprocessing

        labels = tuple(self.largest_component or ())
        least = [_least_volume(entry) for entry in self.min_volume or ()]
        twice = next((label for label, count in Counter(label for label, _ in least).items() if count > 1), None)
        if twice is not None:
            raise UsageError(f'--min-volume: "{twice}" is given more than once; give each label once')
        try:
            return Postprocessing(
                largest_component="all" if "all" in labels else labels,
                min_volume_ml=dict(least),
                within_body=self.within_body,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None


def _least_volume(entry: str) -> tuple[str, float]:
    label, _, millilitres = entry.rpartition("=")
    try:
        return label, float(millilitres)
    except ValueError:
        raise UsageError(f'--min-volume: expected LABEL=ML such as liver=5, got "{entry}"') from None
