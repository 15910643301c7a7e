"""Teachers: 3D segmentation networks around SAM's image encoder. ``build_teacher`` builds one by name.

Importing this package is light; torch and segment-anything are imported when a teacher is built.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import arguments
from ..runtime.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TEACHERS", "build_teacher"]

TEACHERS: dict[str, str] = {
    "autosam": "autosam:build_autosam",
    "autoprosam": "autosam:build_autosam",
}
"""Teacher name → ``module:function`` inside this package; one row per teacher.

AutoSAM Adapter and AutoProSAM are the names that two papers give to the same network.
"""


def build_teacher(
    name: str = "autosam",
    *,
    num_classes: int,
    sam: str = "vit_b",
    checkpoint: str | Path | None = None,
    preset: str = "paper",
    patch: int | tuple[int, int, int] = 128,
    depth_axis: str = "z",
    apg: bool = True,
    mlam: bool = True,
    checkpoint_activations: bool = False,
) -> nn.Module:
    """Builds a teacher; it maps ``[B, 1, D, H, W]`` to logits ``[B, num_classes, D, H, W]``.

    Args:
        name: a row of `TEACHERS`.
        num_classes: output channels, background included.
        sam: image encoder: ``"vit_b"``, ``"vit_l"``, ``"vit_h"``, or the small ``"vit_nano"`` for CPUs and tests.
        checkpoint: SAM checkpoint file (``sam_vit_b_….pth``); without one the encoder starts from random weights.
        preset: ``"paper"`` follows the text, ``"released_code"`` the authors' release (see ``docs/teachers.md``).
        patch: voxels of the input patch, one number or (D, H, W), each a multiple of 32.
        depth_axis: the axis that SAM's 2D planes are stacked along: ``"z"`` (axial planes), ``"y"`` or ``"x"``.
        apg: whether to build the auto prompt generator; without it the decoder reads the encoder's map directly.
        mlam: whether the decoder aggregates several encoder stages; without it the decoder reads the prompt alone.
        checkpoint_activations: whether training keeps only the tokens between blocks and recomputes every block in the
            backward pass: less memory, more computation, the same gradients.

    Raises:
        UsageError: a name or option is unknown, or the patch is invalid.
        MissingExtraError: the packages of the ``train`` extra are not installed.
        InputError: the checkpoint is not the SAM image encoder that ``sam`` names.
    """
    arguments.known("teacher", name, TEACHERS)
    module_name, function_name = TEACHERS[name].split(":")
    try:
        module = import_module(f".{module_name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "train") from None
    return getattr(module, function_name)(
        num_classes=num_classes,
        sam=sam,
        checkpoint=checkpoint,
        preset=preset,
        patch=patch,
        depth_axis=depth_axis,
        apg=apg,
        mlam=mlam,
        checkpoint_activations=checkpoint_activations,
    )
