"""The options that name an engine, a precision and a device: in upper or lower case, passed on in the table's spelling.

So a command records and compares one spelling, whichever the user types.
"""

from __future__ import annotations

from functools import partial

import typer


def _engine(value: str) -> str:
    from ...runtime.engines import ENGINES
    from ...runtime.spelling import canonical

    return canonical(value, ("auto", *ENGINES))


def _precision(value: str) -> str:
    from ...runtime.engines import PRECISIONS
    from ...runtime.spelling import canonical

    return canonical(value, ("auto", *PRECISIONS))


def _device(value: str) -> str:
    from ...runtime.engines import device_name

    return device_name(value)


# Each is typer's `Option` and has the same arguments.
engine_option = partial(typer.Option, callback=_engine)
precision_option = partial(typer.Option, callback=_precision)
device_option = partial(typer.Option, callback=_device)
