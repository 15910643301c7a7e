"""Checks, before a command starts its work, that the packages beyond the device install are there."""

from __future__ import annotations

from importlib.util import find_spec

from ...runtime.errors import MissingExtraError

_PACKAGES = {
    "train": (
        "torch",
        "torchvision",
        "monai",
        "segment_anything",
        "lightning_fabric",
        "safetensors",
        "tensorboard",
        "scipy",
    ),
    "export": ("onnx", "onnxscript", "nncf", "openvino"),
    "report": ("matplotlib", "jinja2"),
    "dicom": ("pydicom", "highdicom", "pynetdicom"),
    "serve": ("starlette", "uvicorn"),
}


def require(*extras: str) -> None:
    """Checks that the packages of some extras are installed, without importing them.

    Args:
        *extras: names of extras: train, export, report, dicom, serve.

    Raises:
        MissingExtraError: a package is missing; the message has the pip command for all missing extras.
    """
    missing = {
        extra: package for extra in extras for package in reversed(_PACKAGES[extra]) if find_spec(package) is None
    }
    if missing:
        raise MissingExtraError(next(iter(missing.values())), ",".join(missing))
