"""Imports the building blocks of segment-anything, with a clear error where that fails."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ...runtime.errors import BedsideError, MissingExtraError, UsageError

__all__ = ["Attention", "MLPBlock", "PatchEmbed", "explain_import_failure", "get_rel_pos"]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed by pip)"


def explain_import_failure(error: Exception) -> BedsideError | None:
    """Returns the error to raise for a failed import of segment-anything; None if the cause is unknown.

    segment-anything imports torchvision, whose compiled operators only load beside the torch they were built for.
    """
    if isinstance(error, ModuleNotFoundError) and error.name in {"segment_anything", "torch", "torchvision"}:
        return MissingExtraError(error.name.replace("_", "-"), "train")
    if "torchvision" in str(error):
        return UsageError(
            f"torch {_version('torch')} and torchvision {_version('torchvision')} do not match ({error}); "
            "run: pip install --upgrade --force-reinstall torch torchvision"
        )
    return None


try:
    from segment_anything.modeling.common import MLPBlock
    from segment_anything.modeling.image_encoder import Attention, PatchEmbed, get_rel_pos
except (ImportError, RuntimeError, AttributeError, OSError) as failure:
    explained = explain_import_failure(failure)
    if explained is None:
        raise
    raise explained from failure
