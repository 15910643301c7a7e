"""Loads a SAM checkpoint into a Self-Prompt-SAM, which keeps every tensor of SAM."""

from __future__ import annotations

from pathlib import Path

from ..sam.sizes import SamSize
from ..sam.whole import copy_sam
from .network import ADDED, SAMS_PARTS, SelfPromptSam


def reused_names(model: SelfPromptSam) -> dict[str, str]:
    """Returns the network's tensors that are SAM's, by name: the name in SAM, which is the same."""
    names = [
        name for name in model.state_dict() if name.startswith(SAMS_PARTS) and not any(added in name for added in ADDED)
    ]
    return dict(zip(names, names, strict=True))


def load_sam(model: SelfPromptSam, size: SamSize, path: str | Path) -> None:
    """Copies SAM's tensors into the network, after a check of all of them by name, shape and value.

    Raises:
        InputError: the file cannot be read or is another size, or a tensor is missing, unknown, of another shape or
            not finite. Every message names the file, the tensor and what to do.
    """
    copy_sam(model, reused_names(model), size, path)
