"""The axis that a SAM-based teacher stacks SAM's planes along."""

from __future__ import annotations

EncoderTriple = tuple[int, int, int]
"""Three whole numbers along the encoder's depth, height and width, whose order in (D, H, W) `DEPTH_AXES` gives."""

DEPTH_AXES: dict[str, EncoderTriple] = {"z": (0, 1, 2), "y": (1, 0, 2), "x": (2, 0, 1)}
"""Depth axis → indices of the encoder's (depth, height, width) in (D, H, W) = (z, y, x)."""
