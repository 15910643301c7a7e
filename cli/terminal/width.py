"""Limits the width of the output: without a terminal it is `COLUMNS`, which may hold anything."""

from __future__ import annotations

import os

NARROWEST, WIDEST = 80, 1000  # the tables need 80 columns; a narrower terminal wraps them, which loses no figure


def bound_columns() -> None:
    """Limits ``COLUMNS`` to 80…1000 and unsets it if it is no integer: at 0 rich prints nothing at all."""
    given = os.environ.get("COLUMNS")
    if given is None:
        return
    try:
        os.environ["COLUMNS"] = str(min(max(int(given), NARROWEST), WIDEST))
    except ValueError:
        del os.environ["COLUMNS"]
