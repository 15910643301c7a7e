"""How much a kernel of the probe computes: the measure by which the planner compares a layer of a network with it.

`networks.py` builds the kernels; a change there that changes the work belongs here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kernels import CONVOLUTION_EDGE, HEADS

if TYPE_CHECKING:
    from .kernels import Kernel
    from .results import KernelTime


@dataclass(frozen=True)
class ProductWork:
    """A matrix product.

    Attributes:
        inner: values summed for one value of the output.
        columns: channels of the output.
        rows: positions of the output.
    """

    inner: int
    columns: int
    rows: int

    @property
    def operations(self) -> int:
        """Arithmetic operations; a multiplication and an addition are two."""
        return 2 * self.inner * self.columns * self.rows


@dataclass(frozen=True)
class OutputWork:
    """The last layer of a network.

    Attributes:
        inner: channels of its input.
        columns: channels of the output.
        rows: positions of the output.
    """

    inner: int
    columns: int
    rows: int

    @property
    def values(self) -> int:
        """Values that it writes."""
        return self.columns * self.rows


@dataclass(frozen=True)
class MovedWork:
    """A layer whose time is that of reading and writing.

    Attributes:
        values: values that it reads and writes.
    """

    values: int


def kernel_work(kernel: Kernel | KernelTime) -> ProductWork | OutputWork | MovedWork:
    """Returns the work of a kernel; a bias, and an activation beside a product, are not counted."""
    inner, columns, rows = kernel.inner, kernel.columns, kernel.rows
    match kernel.kind:
        case "conv" | "strided conv":
            return ProductWork(inner * CONVOLUTION_EDGE**3, columns, rows)
        case "pointwise conv" | "matmul" | "transposed conv":
            return ProductWork(inner, columns, rows)
        case "attention":  # for each head [tokens, tokens] with [tokens, channels]
            return ProductWork(inner, columns, HEADS * inner)
        case "softmax":  # for each head [tokens, tokens], read and written
            return MovedWork(2 * HEADS * inner**2)
        case "copy":  # two slices of together all values, and their concatenation: each reads and writes
            return MovedWork(4 * columns * rows)
        case "output" | "transposed output" | "resized output":
            return OutputWork(inner, columns, rows)
        case _:
            return MovedWork(2 * columns * rows)
