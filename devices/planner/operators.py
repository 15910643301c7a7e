"""The operators of ONNX in groups that cost alike, and the shapes of a network's tensors."""

from __future__ import annotations

from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
"""Weight or tensor → its shape, with a batch of one."""

HEAVY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""Operators that multiply matrices: those that are quantized, and the only ones that most papers count."""

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators whose output shows the memory of their input."""

QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})

FREE = VIEWS | QUANTIZERS | {"Constant", "Shape", "ConstantOfShape"}
"""Operators that an engine does not run: views, what it knows when it opens the network, and quantizers, which it
computes along with the layers beside them."""

MOVES = frozenset(
    {"Concat", "Transpose", "Slice", "Pad", "Gather", "Expand", "DepthToSpace", "Split", "Tile", "Cast"}
)  # fmt: skip
"""Operators that copy values and compute nothing."""

SUMS = frozenset({"Add", "Sub", "Mul", "Div"})
"""Operators that combine two tensors value by value."""

IN_PLACE = frozenset({"Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Elu", "HardSwish"})
"""Operators whose output ONNX Runtime writes over an input that nothing else reads: those whose kernels say so."""

ACTIVATIONS = IN_PLACE | {"PRelu", "Gelu", "Erf", "Exp", "Sqrt"}
"""Operators that compute each value of one tensor, which an engine does in the pass that makes the tensor."""
