"""Checks that all engines share: the network's shape, and the patches of each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..axes import DHW
from ..errors import BedsideError, BundleError, ResourceError, UsageError, first_line

_NO_MEMORY = ("bad_alloc", "bad allocation", "out of memory", "outofmemory")  # C++, OpenVINO, CUDA, TensorRT


@dataclass(frozen=True)
class NetworkShape:
    """The shape of a network [N, 1, D, H, W] → [N, C, D, H, W].

    Attributes:
        patch_dhw: size of the fixed window, in voxels.
        num_classes: C, background included.
        batch: N where it is fixed; None where the network accepts any N.
    """

    patch_dhw: DHW
    num_classes: int
    batch: int | None

    @staticmethod
    def checked(inputs: Sequence[Sequence[int | None]], outputs: Sequence[Sequence[int | None]]) -> NetworkShape:
        """Checks the shapes of a model's inputs and outputs; None stands for a dimension that is not fixed.

        Raises:
            BundleError: the model does not map [N, 1, D, H, W] to [N, C, D, H, W] with a fixed window.
        """
        expected = "expected one input [N, 1, D, H, W] with a fixed window and one output [N, C, D, H, W]"
        if len(inputs) != 1 or len(outputs) != 1:
            raise BundleError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs; {expected}")
        given, returned = list(inputs[0]), list(outputs[0])
        fits = len(given) == 5 and len(returned) == 5 and given[1] == 1 and given[2:] == returned[2:]
        depth, height, width = given[2:] if fits else (None, None, None)
        classes = returned[1] if fits else None
        if depth is None or height is None or width is None or classes is None or classes < 2:
            raise BundleError(f"the model maps {given} to {returned}; {expected}")
        return NetworkShape(DHW(depth, height, width), classes, given[0])

    def check_patches(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Checks patches and returns them C-contiguous.

        Raises:
            UsageError: the patches are not [N, 1, D, H, W] float32 with this window and N ≥ 1.
        """
        fits = patches.ndim == 5 and patches.shape[0] >= 1 and patches.shape[1:] == (1, *self.patch_dhw)
        if not fits or patches.dtype != np.float32:
            window = "×".join(str(size) for size in self.patch_dhw)
            raise UsageError(f"expected float32 patches [N, 1, {window}], got {patches.dtype} {list(patches.shape)}")
        return np.ascontiguousarray(patches)


def refusal(engine: str, error: Exception) -> BedsideError:
    """Returns the error to raise where an engine's library cannot open a model.

    That is `ResourceError` where memory ran out, because then the bundle is not at fault; otherwise `BundleError`.

    Args:
        engine: display name of the engine (``"ONNX Runtime"``).
        error: the exception that the library raised.
    """
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY):
        return ResourceError(f"{engine} has no memory left for the model; free memory or choose int8")
    return BundleError(f"{engine} refuses the model: {first_line(error)}")
