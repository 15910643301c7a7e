"""Reads quantities with units as people write them: ``3GB``, ``15W``, ``512x512x400@0.8x0.8x1``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ...runtime.axes import XYZ
from ...runtime.errors import UsageError
from ...runtime.shown_value import shown

_BYTES = {"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30, "M": 1e6, "G": 1e9}
_WATTS = {"": 1.0, "W": 1.0, "mW": 1e-3}
_NUMBER = r"\d+(?:\.\d+)?"
_SCAN = re.compile(rf"(\d{{1,6}})x(\d{{1,6}})x(\d{{1,6}})@({_NUMBER})x({_NUMBER})x({_NUMBER})")


def size(option: str, text: str) -> int:
    """Returns an amount of memory in bytes: ``3GB``, ``512MB``, ``2GiB``.

    Args:
        option: name of the option, for the message, here and below.
        text: what the user wrote.

    Raises:
        UsageError: it is no such quantity, here and below.
    """
    return int(_quantity(option, text, _BYTES, "3GB"))


def watts(option: str, text: str) -> float:
    """Returns a power in W: ``15W``; a plain number is in W."""
    return _quantity(option, text, _WATTS, "15W")


def scan(option: str, text: str) -> tuple[XYZ, tuple[float, float, float]]:
    """Returns voxels and spacing in mm along x, y, z: ``512x512x400@0.8x0.8x1``."""
    found = _SCAN.fullmatch(text.strip().replace("×", "x"))
    if found is None:
        raise UsageError(f"{option}: expected voxels and millimetres like 512x512x400@0.8x0.8x1, got {shown(text)}")
    x, y, z = (int(found[group]) for group in (1, 2, 3))
    return XYZ(x, y, z), (float(found[4]), float(found[5]), float(found[6]))


def _quantity(option: str, text: str, units: Mapping[str, float], example: str) -> float:
    found = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text.strip())
    folded = {unit.lower() if unit != "mW" else unit: factor for unit, factor in units.items()}
    factor = None if found is None else units.get(found[2], folded.get(found[2].lower()))
    if found is None or factor is None:
        raise UsageError(f"{option}: expected a quantity like {example}, got {shown(text)}")
    value = float(found[1]) * factor
    if not math.isfinite(value):
        raise UsageError(f"{option}: expected a quantity like {example}, got a number that is too large")
    return value
