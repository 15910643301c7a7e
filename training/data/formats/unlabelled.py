"""Leaves out scans without labels that a list names more than once, or names as training cases too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ....runtime.scans.names import joined_names
from .listing import Listing, RawCase, case_names


def without_repeats(listing: Listing) -> Listing:
    """Returns a listing whose scans without labels are all different files, none of them a training case's.

    Warnings name what is left out.
    """
    trained = {raw.image for raw in listing.training}
    kept: dict[Path, RawCase] = {}
    repeated: list[Path] = []
    for raw in listing.unlabelled:
        if raw.image in kept:
            repeated.append(raw.image)
        elif raw.image not in trained:
            kept[raw.image] = raw
    names = case_names(listing.unlabelled)

    def named(images: Iterable[Path]) -> str:
        return joined_names(dict.fromkeys(names[image] for image in images))

    warnings: list[str] = []
    if labelled := [raw.image for raw in listing.unlabelled if raw.image in trained]:
        warnings.append(f"scans listed as unlabelled are training cases already, and left out: {named(labelled)}")
    if repeated:
        warnings.append(f"scans listed as unlabelled more than once are taken once: {named(repeated)}")
    return replace(listing, unlabelled=tuple(kept.values()), warnings=(*listing.warnings, *warnings))
