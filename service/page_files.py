"""The files of the page that the service shows, and whether the viewer is among them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "page"
VIEWER = FOLDER / "viewer" / "niivue.js"  # fetched when the wheel is built: make page


def has_viewer() -> bool:
    """Whether the page can show scans."""
    return VIEWER.is_file()
