"""The public names of the Python API, as the packages list them in ``__all__``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Each has a page under `api/`; that of `bedside.training` names modules too.
PACKAGES = (
    "bedside.runtime",
    "bedside.dicom",
    "bedside.devices",
    "bedside.training",
    "bedside.teacher",
    "bedside.distill",
    "bedside.export",
    "bedside.export.networks",
)


def public_names() -> dict[str, Any]:
    """Returns every public object under its full name.

    Loading them is needed too: a name that a package imports on first use is invisible to autodoc until then.
    """
    modules = [import_module(package) for package in PACKAGES]
    return {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
