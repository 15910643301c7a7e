"""The options that name engines, precisions and a device: in upper or lower case, passed on in the table's spelling.

So a command records and compares one spelling, whichever the user types. An option of type ``list[str]`` takes several
names, with commas or by being repeated.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import typer


def _spelled(value: str | list[str] | None, names: Collection[str]) -> str | list[str] | None:
    from ...runtime.spelling import canonical

    if isinstance(value, list):
        given = [name.strip() for text in value for name in text.split(",")]
        return [canonical(name, names) for name in given if name]
    return canonical(value, names)


# typer reads the annotations of a callback, which a partial has not.
def _engine(value: str | list[str] | None) -> str | list[str] | None:
    from ...runtime.engines import ENGINES

    return _spelled(value, ("auto", *ENGINES))


def _precision(value: str | list[str] | None) -> str | list[str] | None:
    from ...runtime.engines import PRECISIONS

    return _spelled(value, ("auto", *PRECISIONS))


def _device(value: str) -> str:
    from ...runtime.engines import device_name

    return device_name(value)


# Each is typer's `Option` and has the same arguments.
engine_option = partial(typer.Option, callback=_engine)
precision_option = partial(typer.Option, callback=_precision)
device_option = partial(typer.Option, callback=_device)
