"""Teachers: large 3D segmentation networks, most around SAM's image encoder. ``build_teacher`` builds one by name.

Importing this package is light; torch, segment-anything and MONAI are imported when a teacher is built, trained or
loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..runtime.lazy_names import lazy_names
from .families import TEACHERS, TeacherFamily, teacher_config

if TYPE_CHECKING:
    from torch import nn

    from ..runtime.axes import DHW
    from .train import load_teacher, train_teacher

__all__ = ["TEACHERS", "TeacherFamily", "build_teacher", "load_teacher", "teacher_config", "train_teacher"]

_HOME = {"load_teacher": "train", "train_teacher": "train"}


__getattr__ = lazy_names(globals(), _HOME)


def build_teacher(
    name: str = "autosam", *, num_classes: int, patch: int | tuple[int, int, int] = 128, **options: Any
) -> nn.Module:
    """Builds a teacher; it maps ``[B, 1, D, H, W]`` to logits ``[B, num_classes, D, H, W]``.

    One with deep supervision returns auxiliary logits too while it is in training mode and gradients are wanted.

    Example:
        >>> model = build_teacher("autosam", num_classes=14, sam="vit_nano", patch=32)

    Args:
        name: family, a row of `TEACHERS`.
        num_classes: output channels, background included.
        patch: voxels of the input patch, one number or (D, H, W), as the family's `patch_rule` accepts them.
        **options: options of the family, such as those of `AutoSamConfig`: ``sam``, ``checkpoint``, ``preset``, ….

    Raises:
        UsageError: a name or option is unknown, or the patch is invalid.
        MissingExtraError: the packages of the ``train`` extra are not installed.
        InputError: the checkpoint is not the SAM image encoder that ``sam`` names.
    """
    return teacher_config(name, **options).build(num_classes, cast("int | DHW", patch))  # it converts plain tuples
