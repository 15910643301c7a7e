"""The kernels of the probe: which layers it times.

A kernel is timed as a difference: a network that repeats it once and one that repeats it several times differ in
nothing else, so entering and leaving the network cancels out. The layer then runs as in a student: beside others, fused
with its activation, in the engine's own memory layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "conv", "strided conv", "pointwise conv", "transposed conv", "matmul", "attention", "instance norm", "layer norm",
    "softmax", "pointwise", "copy", "resize", "output", "transposed output", "resized output",
    "call",
]  # fmt: skip

CONVOLUTION_EDGE = 3  # taps of a convolution along each axis
HEADS = 8  # of attention and its softmax

_OUTPUTS = ("output", "transposed output", "resized output")  # by a pointwise or transposed convolution, or a resize
_FEWEST_CHANNELS = 2  # of an output
_OUTPUT_CHANNELS = 14


@dataclass(frozen=True)
class Kernel:
    """A layer that the probe times.

    Attributes:
        kind: what it does.
        inner: channels of its input; of a product, the values summed for one output value.
        columns: channels of its output.
        edge: voxels of its network's window along each axis.
        quantized: whether it computes in int8.
    """

    kind: Kind
    inner: int
    columns: int
    edge: int
    quantized: bool = False

    @property
    def rows(self) -> int:
        """Positions of its output, or tokens."""
        edge = self.edge // 2 if self.kind == "strided conv" else self.edge
        return edge**3

    def seconds(self, once: float, several: float, repeats: int) -> float:
        """Returns the time of one kernel from those of its networks.

        Args:
            once: time of the network that repeats it once, in s.
            several: time of the network that repeats it several times, in s.
            repeats: how often.
        """
        one = (several - once) / (repeats - 1)
        return once - one if self.kind in _OUTPUTS else one


_CONVOLUTIONS = (  # (inner, columns, edge); few channels fill a vector register in part, so 8 are a case of their own
    (8, 8, 48), (8, 8, 32), (16, 16, 48), (16, 16, 32), (32, 32, 32), (32, 32, 16), (64, 64, 16), (128, 128, 8),
    (256, 256, 4), (16, 8, 48), (48, 16, 32), (192, 64, 8),
)  # fmt: skip
_STRIDED = ((8, 16, 32), (16, 32, 32), (64, 128, 16))
_MATMULS = ((48, 48, 32), (192, 192, 8))

KERNELS: tuple[Kernel, ...] = (
    *(Kernel("conv", *sizes) for sizes in ((1, 8, 48), (1, 16, 32), *_CONVOLUTIONS)),
    *(Kernel("strided conv", *sizes) for sizes in ((1, 16, 48), *_STRIDED)),
    *(Kernel("pointwise conv", *sizes) for sizes in ((8, 14, 48), (32, 32, 32), (64, 64, 16))),
    *(Kernel("transposed conv", *sizes) for sizes in ((8, 8, 48), (16, 14, 48), (32, 16, 32), (128, 64, 8))),
    *(Kernel("matmul", *sizes) for sizes in _MATMULS),
    Kernel("attention", 343, 16, 7),
    Kernel("instance norm", 32, 32, 32),
    Kernel("instance norm", 64, 64, 8),
    Kernel("layer norm", 48, 48, 32),
    Kernel("softmax", 343, 343, 7),
    Kernel("pointwise", 32, 32, 32),
    Kernel("copy", 16, 16, 48),
    Kernel("copy", 64, 64, 16),
    Kernel("resize", 14, 14, 48),
    *(Kernel(kind, inner, _OUTPUT_CHANNELS, edge) for kind in _OUTPUTS[:2] for inner, edge in ((8, 80), (16, 32))),
    *(Kernel("resized output", _OUTPUT_CHANNELS, _OUTPUT_CHANNELS, edge) for edge in (80, 32)),
    Kernel("call", 1, _FEWEST_CHANNELS, 4),
    *(Kernel("conv", *sizes, quantized=True) for sizes in _CONVOLUTIONS),
    *(Kernel("strided conv", *sizes, quantized=True) for sizes in _STRIDED),
    *(Kernel("matmul", *sizes, quantized=True) for sizes in _MATMULS),
)
