"""ONNX Runtime: on the CPU part of the plain install, so this engine is always available; on GPUs with other builds."""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BedsideError, ResourceError, UsageError
from ..memory.cgroup import read_limits
from .cuda import CudaError, describe_gpu
from .engine import CPU, BaseEngine, InferenceDevice, Precision, importing
from .model_bytes import Model, model_bytes
from .network_shape import NetworkShape, refusal
from .onnx_guard import check_no_external_data

_log = logging.getLogger("bedside.engine")
_ERRORS_ONLY = 3  # log severity: users cannot act on warnings of the graph optimiser


@dataclass(frozen=True)
class _Provider:
    """An execution provider for NVIDIA GPUs: ONNX Runtime's name, the precisions it computes in, its options."""

    name: str
    precisions: tuple[Precision, ...]
    options: dict[str, str]


# The CUDA provider has no int8 convolutions; without TF32, fp32 is what it says. TensorRT's builds at every opening.
_GPU_PROVIDERS = {
    "CUDA": _Provider("CUDAExecutionProvider", ("fp32", "fp16"), {"use_tf32": "0"}),
    "TensorRT": _Provider("TensorrtExecutionProvider", ("fp32", "fp16", "int8", "int8-fp16"), {}),
}


class OnnxRuntimeEngine(BaseEngine[Any]):
    """Runs an ONNX model with ONNX Runtime; see `Engine`.

    One session serves all streams, because sessions are safe to call from several threads; they share its pool of
    threads, so that a stream which runs alone has more than its share. With the same threads and streams on the same
    CPU, results are bit-identical from run to run. On a CPU, float16 layers compute in float32, at the speed of fp32 or
    below it, with the weights of float16.

    Args:
        model: an ONNX model with its weights inside.
        threads: number of CPU threads of all streams together.
        precision: ``"fp32"``, ``"fp16"``, ``"int8"``, ``"uint8"`` or ``"int8-fp16"``, only reported: the model itself
            defines its layers' types.
        streams: number of inferences that run at the same time.
        compiled: must be None, as `compiled` returns.
        device: ``"CPU"``, or the execution provider ``"CUDA"`` or ``"TensorRT"``.

    Raises:
        BundleError: the model cannot be read, or its inputs and outputs have the wrong shapes.
        ResourceError: there is not enough memory for the model, or the provider does not work on this machine.
    """

    name = "onnxruntime"
    library = "ONNX Runtime"

    def __init__(
        self,
        model: Model,
        threads: int,
        precision: str = "fp32",
        streams: int = 1,
        compiled: bytes | None = None,
        device: str = CPU,
    ) -> None:
        if compiled is not None:
            raise UsageError("compiled: ONNX Runtime has no such form; expected None")
        content = model_bytes(model).graph
        check_no_external_data(content)
        onnxruntime = _import_onnxruntime()
        options = onnxruntime.SessionOptions()
        # The session's pool has one thread less than this, and every stream brings the thread that calls.
        options.intra_op_num_threads = max(1, threads - streams + 1)
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # By default a thread of ONNX Runtime that waits keeps its CPU busy: after a call for some 40 ms, taken from
        # whatever runs next. Within a call that is the quicker wait; under a quota it uses up the others' time.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if (read_limits().cpus or math.inf) < options.intra_op_num_threads:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if device == CPU:
            # By default ONNX Runtime takes one more block for all tensors of a second window, and keeps what the first
            # took: up to twice the memory, and no time saved (benchmarks/planner/README.md).
            options.enable_mem_pattern = False
        # By default ONNX Runtime also loads its own format, recognised by bytes that an ONNX file may hold as well: it
        # would then load something that the guard did not check.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            session = onnxruntime.InferenceSession(content, options, providers=_providers(device))
            _check_provider(session, device)
        except BedsideError:
            raise
        except Exception as error:  # ONNX Runtime's error classes have no common base but Exception
            raise refusal(self.library, error) from None
        network = NetworkShape.checked(
            [_fixed(node.shape) for node in session.get_inputs()],
            [_fixed(node.shape) for node in session.get_outputs()],
        )
        super().__init__(network, [session] * streams, precision, device)
        self._input: str = session.get_inputs()[0].name

    @staticmethod
    def devices() -> tuple[InferenceDevice, ...]:
        """Returns the CPU, and the providers of this build for an NVIDIA GPU where there is one."""
        cpu = InferenceDevice(CPU, ("fp32", "fp16", "int8", "uint8", "int8-fp16"))
        try:
            gpu = describe_gpu()  # first, because it is quick: without a GPU, the package need not be imported
        except CudaError as error:
            _log.debug("no GPU for ONNX Runtime: %s", error)
            return (cpu,)
        onnxruntime = _import_onnxruntime()
        built_in = set(onnxruntime.get_available_providers())
        software = f"ONNX Runtime {onnxruntime.__version__}, driver {gpu.driver}"
        return (
            cpu,
            *(
                InferenceDevice(name, provider.precisions, gpu.name, software, nvidia=True)
                for name, provider in _GPU_PROVIDERS.items()
                if provider.name in built_in
            ),
        )

    def _run(self, slot: Any, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self._network.batch or len(patches)
        chunks = [patches[first : first + size] for first in range(0, len(patches), size)]
        results = [slot.run(None, {self._input: chunk})[0] for chunk in chunks]
        return results[0] if len(results) == 1 else np.concatenate(results)


def _providers(device: str) -> list[Any]:
    """Returns the providers in order of preference; what the first lacks, ONNX Runtime runs on the CPU."""
    gpu = _GPU_PROVIDERS.get(device)
    return ["CPUExecutionProvider"] if gpu is None else [(gpu.name, gpu.options), "CPUExecutionProvider"]


def _check_provider(session: Any, device: str) -> None:
    """Checks that a session runs on the device; where a provider fails, ONNX Runtime only logs it and runs on the CPU.

    Raises:
        ResourceError: it does not.
    """
    gpu = _GPU_PROVIDERS.get(device)
    if gpu is not None and gpu.name not in session.get_providers():
        raise ResourceError(f"ONNX Runtime cannot use {device} on this machine; its libraries may be missing")


def _fixed(shape: list[int | str | None]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def _import_onnxruntime() -> Any:
    with (
        importing("onnxruntime"),
        warnings.catch_warnings(),
    ):  # users cannot act on its warning about Linux distributions it was not tested on
        warnings.simplefilter("ignore")
        import onnxruntime

    onnxruntime.disable_telemetry_events()  # Windows; elsewhere the variable set in bedside/__init__.py decides
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    return onnxruntime
