"""Checks, before a command starts its work, that the packages beyond the device install are there."""

from __future__ import annotations

from importlib.util import find_spec

from ...runtime.errors import MissingExtraError
from ...runtime.extras import PACKAGES


def require(*extras: str) -> None:
    """Checks that the packages of some extras are installed, without importing them.

    Args:
        *extras: names of extras: train, export, report, dicom, serve.

    Raises:
        MissingExtraError: a package is missing; the message has the pip command for all missing extras.
    """
    missing = {
        extra: package for extra in extras for package in reversed(PACKAGES[extra]) if find_spec(package) is None
    }
    if missing:
        raise MissingExtraError(next(iter(missing.values())), ",".join(missing))
