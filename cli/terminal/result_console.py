"""The tables of a result, laid out for the encoding and width of stdout."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from .readable import readable
from .streams import NARROWEST


class ResultConsole(Console):
    """Writes tables to stdout without losing a figure, whatever its encoding and width.

    Text is shown as it is: the names of labels and files may hold brackets and colons, which rich would take for its
    own markup and emoji.
    """

    def __init__(self) -> None:
        super().__init__(file=sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=False)
        self.width = max(self.width, NARROWEST)

    def render_str(self, text: str, **options: Any) -> Text:
        """Replaces characters that the encoding lacks before the layout, so that columns stay aligned; see rich."""
        return super().render_str(readable(text, self.encoding), **options)
