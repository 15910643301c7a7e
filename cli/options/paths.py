"""Options and arguments that are paths: whoever reads or writes a file says what is wrong with it, not the parser.

The parser would call an unreadable file a wrong call (exit code 2); a scan, a data set or a bundle that is missing or
not readable has the exit code of its family.
"""

from __future__ import annotations

from functools import partial

import typer

path_option = partial(typer.Option, readable=False)
path_argument = partial(typer.Argument, readable=False)
