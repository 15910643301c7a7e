"""OpenVINO on the CPU: the fastest engine on x86-64, from an ONNX or from the IR compiled at export."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, ResourceError, UsageError
from ..onnx_guard import refuse_external_data
from .network import NetworkShape, first_line, read_model

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """Imports OpenVINO without its telemetry.

    ``import openvino`` sends an event to Google Analytics and writes a client id below the home folder unless the user
    has opted out. Its tools fall back to a silent stub where the package `openvino_telemetry` cannot be imported, so
    that package is made unimportable in this process, for OpenVINO and for NNCF, which does the same.

    Returns:
        The module ``openvino``.
    """
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType] - documented: import then fails
    import openvino

    return openvino


class OpenVinoEngine:
    """Runs an ONNX model or an OpenVINO IR with OpenVINO's CPU plugin; see `Engine`.

    The batch is fixed to 1, because static shapes are faster and one CPU gains nothing from a batch. Arithmetic is
    float32, also on CPUs with bfloat16, where OpenVINO would by itself choose the less precise format; layers that the
    model quantizes run in int8. One inference runs at a time: calls from other threads wait.

    Args:
        model: ONNX file or its bytes, or the ``.xml`` of an IR with its ``.bin`` beside it.
        threads: CPU threads of one inference.
        precision: kept for reports.

    Raises:
        BundleError: the model cannot be read or has another form.
    """

    name = "openvino"

    def __init__(self, model: Path | bytes, threads: int, precision: str = "fp32") -> None:
        content = read_model(model)
        is_ir = isinstance(model, Path) and model.suffix == ".xml"
        weights = read_model(model.with_suffix(".bin")) if isinstance(model, Path) and is_ir else b""
        if not is_ir:
            refuse_external_data(content)
        openvino = import_openvino()
        try:
            core = openvino.Core()
            network = core.read_model(content, weights) if is_ir else core.read_model(content)
            shape = NetworkShape.checked(
                [_fixed(port.partial_shape) for port in network.inputs],
                [_fixed(port.partial_shape) for port in network.outputs],
            )
            network.reshape({network.inputs[0]: [1, 1, *shape.patch_dhw]})
            hints = {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
            }
            request = core.compile_model(network, "CPU", hints).create_infer_request()
        except BundleError:
            raise
        except Exception as error:  # the bindings raise RuntimeError, TypeError, ValueError and their own classes
            raise BundleError(f"OpenVINO refuses the model: {first_line(error)}") from None
        self._network = shape
        self._request: Any = request
        self._lock = Lock()
        self.precision = precision
        self.patch_dhw = shape.patch_dhw
        self.num_classes = shape.num_classes

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns logits [N, C, D, H, W] of patches [N, 1, D, H, W]; see `Engine.infer`."""
        patches = self._network.check_patches(patches)
        logits = np.empty((len(patches), self.num_classes, *self.patch_dhw), np.float32)
        with self._lock:
            if self._request is None:
                raise UsageError("the engine is closed; load the bundle again")
            try:
                for patch, result in zip(patches, logits, strict=True):
                    self._request.infer([patch[None]], share_inputs=True)
                    result[...] = self._request.get_output_tensor(0).data[0]
            except Exception as error:
                raise ResourceError(f"OpenVINO failed while running: {first_line(error)}") from None
        return logits

    def close(self) -> None:
        """Drops the compiled model and its memory; waits for an inference under way."""
        with self._lock:
            self._request = None


def _fixed(shape: Any) -> list[int | None]:
    if shape.rank.is_dynamic:
        return []
    return [None if size.is_dynamic else size.get_length() for size in shape]
