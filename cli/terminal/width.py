"""How wide a terminal is taken to be: `COLUMNS` says it where there is none, and may say anything."""

from __future__ import annotations

import os

NARROWEST, WIDEST = 80, 1000  # our tables need 80 columns; a narrower terminal wraps them, which loses no figure


def bound_columns() -> None:
    """Keeps ``COLUMNS`` within what help and tables can be laid out for: at 0 rich prints nothing at all."""
    given = os.environ.get("COLUMNS")
    if given is None:
        return
    try:
        os.environ["COLUMNS"] = str(min(max(int(given), NARROWEST), WIDEST))
    except ValueError:
        del os.environ["COLUMNS"]
