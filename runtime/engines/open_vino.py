"""OpenVINO on the CPU: the fastest engine on x86-64; runs an ONNX model or the IR written at export."""

from __future__ import annotations

import io
import logging
import sys
import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BedsideError, first_line
from .engine import BaseEngine, importing
from .model_bytes import Model, model_bytes
from .network_shape import NetworkShape, refusal
from .onnx_guard import check_no_external_data

_log = logging.getLogger("bedside.engine")
_TELEMETRY = "openvino_telemetry"
_making_core = threading.Lock()
_ARITHMETIC = {"fp32": "f32", "int8": "f32", "bf16": "bf16", "int8-bf16": "bf16"}  # of layers not quantized


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
        import openvino

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
    """Runs an ONNX model or an OpenVINO IR with OpenVINO's CPU plugin; see `Engine`.

    The batch is fixed to 1, because static shapes are faster and one CPU gains nothing from a batch. The precision sets
    the arithmetic: float32 also on CPUs with bfloat16, where OpenVINO by default chooses the less precise format.
    Layers that the model quantizes run in int8. With the same threads and streams on the same machine, results
    are bit-identical from run to run.

    Args:
        model: an ONNX model or an OpenVINO IR.
        threads: number of CPU threads of all streams together.
        precision: ``"fp32"``, ``"bf16"``, ``"int8"`` or ``"int8-bf16"``.
        streams: number of inferences that run at the same time.
        compiled: bytes that `compiled` returned for the same model and options; the model is then read only if OpenVINO
            refuses them. None compiles the model.

    Raises:
        BundleError: the model cannot be read, or its inputs and outputs have the wrong shapes.
        ResourceError: there is not enough memory for the model.
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
    ) -> None:
        openvino = import_openvino()
        hints = {
            "INFERENCE_PRECISION_HINT": _ARITHMETIC[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
        }
        try:
            core = openvino_core()
            network = _imported(core, compiled, hints)
            if network is None:
                network = _compiled(core, model, hints)
            shape = _shape(network)
            requests: list[Any] = [network.create_infer_request() for _ in range(streams)]
        except BedsideError:
            raise
        except Exception as error:  # the bindings raise RuntimeError, TypeError, ValueError and their own classes
            raise refusal(self.library, error) from None
        super().__init__(shape, requests, precision)
        self._compiled: Any = network
        self._tensor = openvino.Tensor

    @staticmethod
    def supports(precision: str) -> bool:
        """Returns whether this CPU computes in a precision; see `bedside.runtime.engines.supports`."""
        if _ARITHMETIC[precision] != "bf16":
            return True
        return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

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


def _compiled(core: Any, model: Model, hints: dict[str, Any]) -> Any:
    content = model_bytes(model)
    if content.weights is not None:
        network = core.read_model(content.graph, content.weights)
    else:
        check_no_external_data(content.graph)
        network = core.read_model(content.graph)
    network.reshape({network.inputs[0]: [1, 1, *_shape(network).patch_dhw]})
    return core.compile_model(network, "CPU", hints)


def _imported(core: Any, compiled: bytes | None, hints: dict[str, Any]) -> Any:
    """Loads a network from its compiled bytes; None where there are none or OpenVINO refuses them (logged)."""
    if compiled is None:
        return None
    try:
        return core.import_model(compiled, "CPU", hints)
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
