"""OpenVINO on CPUs and on Intel's GPUs and NPUs: the fastest engine on x86-64; runs an ONNX model or its own IR."""

from __future__ import annotations

import io
import logging
import os
import platform
import sys
import threading
import weakref
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BedsideError, UsageError, first_line
from .engine import CPU, BaseEngine, InferenceDevice, Precision, importing
from .model_bytes import Model, model_bytes
from .network_shape import NetworkShape, refusal
from .onnx_guard import check_no_external_data

_log = logging.getLogger("bedside.engine")
_TELEMETRY = "openvino_telemetry"
_making_core = threading.Lock()
_freed_in_processes: set[int] = set()  # ids of the processes that opened engines which were closed or collected since
_ARITHMETIC = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32", "int8-bf16": "bf16"}  # if not quantized
_REQUIRED: dict[Precision, set[str]] = {  # precision → what OpenVINO's capabilities of a device must name
    "fp32": {"FP32"},
    "fp16": {"FP16"},
    "bf16": {"BF16"},
    "int8": {"INT8"},
    "int8-bf16": {"INT8", "BF16"},
}
_DRIVER_VERSIONS = ("GPU_DRIVER_VERSION", "NPU_DRIVER_VERSION")  # OpenVINO's properties


def import_openvino() -> Any:
    """Imports OpenVINO without its telemetry.

    ``import openvino`` sends an event to Google Analytics and writes a client id below the home folder unless the user
    has opted out. Its tools fall back to a silent stub where the package `openvino_telemetry` cannot be imported, so
    that package is made unimportable in this process, for OpenVINO and for NNCF, which does the same.

    Returns:
        The module ``openvino``.

    Raises:
        ResourceError: it cannot be imported.
    """
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType] - documented: import then fails
    with importing("openvino"):
        import openvino  # noqa: TID251 - the one place

    return openvino


def openvino_core() -> Any:
    """Returns the process's one ``openvino.Core``, which is never destroyed.

    OpenVINO 2026.4's CPU plugin installs a signal stack in the thread that loads it and removes it from the thread that
    unloads it. If one thread loads the plugin and another unloads it, with the last core or model, the first thread
    keeps a freed stack: the next signal it handles ends the process with a segmentation fault.
    """
    with _making_core:  # two threads that start at the same time must not create one each
        return _core()


@cache
def _core() -> Any:
    return import_openvino().Core()


class OpenVinoEngine(BaseEngine[Any]):
    """Runs an ONNX model or an OpenVINO IR with OpenVINO; see `Engine`.

    The batch is fixed to 1, because static shapes are faster and one device gains nothing from a batch. The precision
    sets the arithmetic: float32 also where OpenVINO by default chooses a less precise format (bfloat16 on CPUs, float16
    on GPUs). Layers that the model quantizes run in int8; on a device without float32, an NPU, the others run in
    float16. With the same threads and streams on the same CPU, results are bit-identical from run to run.

    Args:
        model: an ONNX model or an OpenVINO IR.
        threads: number of CPU threads of all streams together.
        precision: one of `PRECISIONS`.
        streams: number of inferences that run at the same time.
        compiled: bytes that `compiled` returned for the same model and options; the model is then read only if OpenVINO
            refuses them. None compiles the model.
        device: OpenVINO's name of the device: ``"CPU"``, ``"GPU"``, ``"GPU.1"``, ``"NPU"``.

    Raises:
        BundleError: the model cannot be read, or its inputs and outputs have the wrong shapes.
        ResourceError: there is not enough memory for the model.
        UsageError: an engine of before this process was forked has been closed.
    """

    name = "openvino"
    library = "OpenVINO"

    def __init__(
        self,
        model: Model,
        threads: int,
        precision: str = "fp32",
        streams: int = 1,
        compiled: bytes | None = None,
        device: str = CPU,
    ) -> None:
        openvino = import_openvino()
        _check_not_forked()
        try:
            core = openvino_core()
            hints = _hints(core, device, precision, threads, streams)
            network = _imported(core, compiled, device, hints)
            if network is None:
                network = _compiled(core, model, device, hints)
            shape = _shape(network)
            requests: list[Any] = [network.create_infer_request() for _ in range(streams)]
        except BedsideError:
            raise
        except Exception as error:  # the bindings raise RuntimeError, TypeError, ValueError and their own classes
            raise refusal(self.library, error) from None
        super().__init__(shape, requests, precision, device)
        self._compiled: Any = network
        self._tensor = openvino.Tensor
        self._note_freed = weakref.finalize(self, _freed_in_processes.add, os.getpid())

    @staticmethod
    def devices() -> tuple[InferenceDevice, ...]:
        """Returns the devices that OpenVINO lists, with the precisions that their capabilities name.

        A device that it lists but cannot describe, for want of a sound driver, is left out; the log says why.
        """
        core = openvino_core()
        names = sorted(_listed(core), key=lambda name: (name != CPU, name))
        return tuple(device for name in names if (device := _described(core, name)) is not None)

    def _run(self, slot: Any, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        patches = patches if patches.flags.writeable else patches.copy()  # OpenVINO shares only writable memory
        logits = np.empty((len(patches), self.num_classes, *self.patch_dhw), np.float32)
        for patch, result in zip(patches[:, None], logits[:, None], strict=True):
            # OpenVINO reads and writes both in place. A patch passed to `infer` would stay in the request.
            slot.set_input_tensor(self._tensor(patch, shared_memory=True))
            slot.set_output_tensor(self._tensor(result, shared_memory=True))
            slot.infer(share_outputs=True)  # by default it returns a copy of its output
        return logits

    def close(self) -> None:
        """Waits for running inferences, then frees the compiled model."""
        super().close()
        self._compiled = None
        self._note_freed()

    def compiled(self) -> bytes | None:
        """Returns the compiled network; None once the engine is closed, or where OpenVINO cannot export it (logged)."""
        if self._compiled is None:
            return None
        stream = io.BytesIO()
        try:
            self._compiled.export_model(stream)
        except RuntimeError as error:
            _log.info("the compiled network cannot be kept: %s", first_line(error))
            return None
        return stream.getvalue()


def _check_not_forked() -> None:
    """Checks that OpenVINO will start threads for a network: it reuses those of one that was freed.

    After a fork these exist in the parent alone, and the child would wait for them for ever.

    Raises:
        UsageError: an engine that was opened before this process was forked has been closed or collected.
    """
    if _freed_in_processes - {os.getpid()}:
        raise UsageError(
            "engine: OpenVINO ran in this program before the fork and would wait for ever for threads that only the "
            'parent has; start the process by "spawn" or "forkserver", or take the engine "onnxruntime"'
        )


def _listed(core: Any) -> list[str]:
    try:
        return list(core.available_devices)
    except Exception as error:  # the bindings raise RuntimeError and their own classes: of one plugin, for all devices
        _log.warning("OpenVINO cannot list its devices, so its CPU alone is used: %s", first_line(error))
        return [CPU]


def _described(core: Any, name: str) -> InferenceDevice | None:
    try:
        capabilities = _capabilities(core, name)
        return InferenceDevice(
            name,
            tuple(precision for precision, needed in _REQUIRED.items() if needed <= capabilities),
            str(core.get_property(name, "FULL_DEVICE_NAME")),
            "" if name == CPU else _driver(core, name),
        )
    except Exception as error:  # likewise
        _log.warning("OpenVINO's device %s is left out, it cannot be asked: %s", name, first_line(error))
        return None


def _capabilities(core: Any, device: str) -> set[str]:
    return set(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))


def _driver(core: Any, device: str) -> str:
    """Returns the driver's version where OpenVINO tells it, as it does of NPUs, and the kernel's release."""
    offered = set(core.get_property(device, "SUPPORTED_PROPERTIES"))
    told = [f"driver {core.get_property(device, name)}" for name in _DRIVER_VERSIONS if name in offered]
    return ", ".join([*told, f"kernel {platform.release()}"])


def _hints(core: Any, device: str, precision: str, threads: int, streams: int) -> dict[str, Any]:
    arithmetic = _ARITHMETIC[precision] if "FP32" in _capabilities(core, device) else "f16"
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": arithmetic, "PERFORMANCE_HINT": "LATENCY"}
    if device == CPU:
        hints |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    return hints


def _compiled(core: Any, model: Model, device: str, hints: dict[str, Any]) -> Any:
    content = model_bytes(model)
    if content.weights is not None:
        network = core.read_model(content.graph, content.weights)
    else:
        check_no_external_data(content.graph)
        network = core.read_model(content.graph)
    network.reshape({network.inputs[0]: [1, 1, *_shape(network).patch_dhw]})
    return core.compile_model(network, device, hints)


def _imported(core: Any, compiled: bytes | None, device: str, hints: dict[str, Any]) -> Any:
    """Loads a network from its compiled bytes; None where there are none or OpenVINO refuses them (logged)."""
    if compiled is None:
        return None
    try:
        return core.import_model(compiled, device, hints)
    except RuntimeError as error:
        _log.info("cached model rejected, recompiling: %s", first_line(error))
        return None


def _shape(network: Any) -> NetworkShape:
    return NetworkShape.checked(
        [_fixed(port.partial_shape) for port in network.inputs],
        [_fixed(port.partial_shape) for port in network.outputs],
    )


def _fixed(shape: Any) -> list[int | None]:
    if shape.rank.is_dynamic:
        return []
    return [None if size.is_dynamic else size.get_length() for size in shape]
