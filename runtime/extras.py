"""The packages beyond the device install, and the error where one of them is not installed."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from .errors import MissingExtraError

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "train": (
        "torch",
        "torchvision",
        "monai",
        "einops",
        "segment_anything",
        "lightning_fabric",
        "safetensors",
        "tensorboard",
        "tomli_w",
        "scipy",
    ),
    "export": ("onnx", "onnxscript", "nncf", "openvino"),
    "report": ("matplotlib", "jinja2"),
    "dicom": ("pydicom", "highdicom", "pynetdicom"),
    "serve": ("starlette", "uvicorn"),
}
"""Extra → the names by which its packages are imported, in the order in which a missing one is named."""


@contextmanager
def extra_named() -> Generator[None]:
    """Raises `MissingExtraError` where the block imports a package of an extra that is not installed.

    Raises:
        MissingExtraError: the package, the extra and the pip command.
        ModuleNotFoundError: another module is missing, such as one that a plug-in of somebody else imports.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((extra for extra, packages in PACKAGES.items() if package in packages), None)
        if extra is None:
            raise
        raise MissingExtraError(package.replace("_", "-"), extra) from None
