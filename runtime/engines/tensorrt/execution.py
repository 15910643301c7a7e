"""One execution of a TensorRT engine at a time: its context, stream and buffers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BundleError, ResourceError
from ..cuda import CudaStream
from ..network_shape import NetworkShape
from .library import logger


@dataclass(frozen=True)
class Tensors:
    """Input and output of an engine.

    Attributes:
        input_name: name of the input, the image.
        output_name: name of the output, the logits.
        shape: the network's shape.
    """

    input_name: str
    output_name: str
    shape: NetworkShape

    @staticmethod
    def of(trt: Any, network: Any) -> Tensors:
        """Reads them from an engine (``ICudaEngine``).

        Raises:
            BundleError: there is not one float32 input and one float32 output, or their shapes are wrong.
        """
        names = [network.get_tensor_name(index) for index in range(network.num_io_tensors)]
        inputs = [name for name in names if network.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        outputs = [name for name in names if name not in inputs]
        shapes = {name: [int(size) for size in network.get_tensor_shape(name)] for name in names}
        shape = NetworkShape.checked([shapes[name] for name in inputs], [shapes[name] for name in outputs])
        if any(network.get_tensor_dtype(name) != trt.float32 for name in names):
            raise BundleError("the model's input or output is not float32; export the bundle again")
        return Tensors(inputs[0], outputs[0], shape)


class Execution:
    """One execution context with its stream and buffers; runs one inference at a time.

    Args:
        trt: the module ``tensorrt``.
        network: the engine (``ICudaEngine``).
        tensors: its input and output.

    Raises:
        ResourceError: the GPU has not enough memory.
    """

    def __init__(self, trt: Any, network: Any, tensors: Tensors) -> None:
        self._log = logger(trt)
        voxels = int(np.prod(tensors.shape.patch_dhw)) * np.dtype(np.float32).itemsize
        self._context: Any = network.create_execution_context()
        if self._context is None:
            raise ResourceError(f"TensorRT has no memory for the model: {self._log.reason()}")
        self._stream = CudaStream(voxels, tensors.shape.num_classes * voxels)
        self._context.set_tensor_address(tensors.input_name, self._stream.device_input)
        self._context.set_tensor_address(tensors.output_name, self._stream.device_output)

    def run(self, patch: NDArray[np.float32], logits: NDArray[np.float32]) -> None:
        """Runs a patch [1, D, H, W] and writes its logits [C, D, H, W], both C-contiguous.

        Raises:
            ResourceError: TensorRT or the driver reports a fault.
        """
        self._stream.upload(patch)
        if not self._context.execute_async_v3(self._stream.handle):
            raise ResourceError(self._log.reason())
        self._stream.download(logits)

    def close(self) -> None:
        """Frees the context, the stream and the buffers."""
        self._context = None
        self._stream.close()
