"""The tables of a result, laid out for what the stream can show."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from .readable import readable
from .width import NARROWEST


class ResultConsole(Console):
    """Writes tables to stdout without losing a figure, whatever encoding and width that has."""

    def __init__(self) -> None:
        super().__init__(file=sys.stdout, highlight=False, soft_wrap=False)
        self.width = max(self.width, NARROWEST)

    def render_str(self, text: str, **options: Any) -> Text:
        """Replaces the signs that the encoding lacks before the layout, so that columns stay in line; see rich."""
        return super().render_str(readable(text, self.encoding), **options)
