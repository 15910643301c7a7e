"""Takes each scan without labels once, however often a list names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ....runtime.scans.names import joined_names
from .listing import Listing, RawCase, case_names


def without_repeats(listing: Listing) -> Listing:
    """Returns a listing that has each scan without labels once; a warning names those listed again."""
    kept: dict[Path, RawCase] = {}
    repeated: list[Path] = []
    for raw in listing.unlabelled:
        if raw.image in kept:
            repeated.append(raw.image)
        else:
            kept[raw.image] = raw
    if not repeated:
        return listing
    names = case_names(listing.unlabelled)
    named = joined_names(dict.fromkeys(names[image] for image in repeated))
    warning = f"scans listed as unlabelled more than once are taken once: {named}"
    return replace(listing, unlabelled=tuple(kept.values()), warnings=(*listing.warnings, warning))
