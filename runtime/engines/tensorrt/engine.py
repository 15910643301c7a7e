"""TensorRT on an NVIDIA GPU: the fastest engine there; it builds the model for the GPU on first use."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from ...errors import BedsideError, ResourceError, UsageError
from ...files.machine_cache import MachineCache
from ..cuda import CudaError, describe_gpu
from ..engine import BaseEngine, InferenceDevice, Precision
from ..model_bytes import Model, model_bytes
from ..network_shape import refusal
from ..onnx_guard import check_no_external_data
from .builder import LIBRARY
from .execution import Execution, Tensors
from .library import import_tensorrt, logger
from .plans import PlanCache

_log = logging.getLogger("bedside.engine")
_GPU = "GPU"
_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int8-fp16")


class TensorRtEngine(BaseEngine[Execution]):
    """Runs an ONNX model with TensorRT on the first NVIDIA GPU; see `Engine`.

    The first opening on a machine builds the model for its GPU, which takes minutes; `PlanCache` keeps the result.
    Layers compute in the types of the ONNX: float32, float16, or int8 where it has Q/DQ pairs. float32 layers of an
    int8 model compute in TF32 where the GPU has it; those of the fp32 model do not. Patches run one by one. Two builds
    of a model may choose other kernels, and so differ in the last bits.

    Args:
        model: an ONNX model with its weights inside.
        threads: unused: the GPU does the work.
        precision: ``"fp32"``, ``"fp16"``, ``"int8"`` or ``"int8-fp16"``.
        streams: number of inferences that run at the same time, each with its context, stream and buffers.
        compiled: must be None, as `compiled` returns: plans are kept by what they depend on.
        device: ``"GPU"``.

    Raises:
        BundleError: TensorRT refuses the model, or its inputs and outputs have the wrong shapes.
        ResourceError: TensorRT or the GPU's driver cannot be loaded, or there is not enough memory.
    """

    name = "tensorrt"
    library = LIBRARY

    def __init__(
        self,
        model: Model,
        threads: int,
        precision: str = "fp32",
        streams: int = 1,
        compiled: bytes | None = None,
        device: str = _GPU,
    ) -> None:
        if compiled is not None:
            raise UsageError("compiled: TensorRT keeps its own plans; expected None")
        onnx = model_bytes(model).graph
        check_no_external_data(onnx)
        trt = import_tensorrt()
        plans = PlanCache(trt, describe_gpu(), MachineCache.of_this_user())
        self._executions: list[Execution] = []
        try:
            runtime = trt.Runtime(logger(trt))
            network = plans.open(onnx, exact=precision == "fp32", load=runtime.deserialize_cuda_engine)
            if network is None:
                raise ResourceError(f"TensorRT cannot load the plan that it built: {logger(trt).reason()}")
            tensors = Tensors.of(trt, network)
            for _ in range(streams):
                self._executions.append(Execution(trt, network, tensors))
        except BedsideError:
            self._free()
            raise
        except Exception as error:  # the bindings raise RuntimeError, TypeError and MemoryError
            self._free()
            raise refusal(self.library, error) from None
        super().__init__(tensors.shape, self._executions, precision, device)

    @staticmethod
    def devices() -> tuple[InferenceDevice, ...]:
        """Returns the first NVIDIA GPU; none where there is no driver or GPU (logged).

        Raises:
            ResourceError: TensorRT cannot be imported.
        """
        trt = import_tensorrt()
        try:
            gpu = describe_gpu()
        except CudaError as error:
            _log.info("no device for TensorRT: %s", error)
            return ()
        title = f"{gpu.name}, compute capability {gpu.capability}"
        software = f"TensorRT {trt.__version__}, driver {gpu.driver}"
        return (InferenceDevice(_GPU, _PRECISIONS, title, software, nvidia=True),)

    def _run(self, slot: Execution, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = np.empty((len(patches), self.num_classes, *self.patch_dhw), np.float32)
        for patch, result in zip(patches, logits, strict=True):
            slot.run(patch, result)
        return logits

    def close(self) -> None:
        """Waits for running inferences, then frees the GPU's memory."""
        super().close()
        if not self._slots.forked:  # the GPU's memory is the parent process's
            self._free()

    def _free(self) -> None:
        while True:
            try:
                execution = self._executions.pop()
            except IndexError:  # none is left; another thread may free them too
                return
            execution.close()
