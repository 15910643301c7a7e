"""ONNX Runtime on the CPU: part of the plain install, so this engine is always available."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .engine import BaseEngine, importing
from .model_bytes import Model, model_bytes
from .network_shape import NetworkShape, refusal
from .onnx_guard import check_no_external_data

_ERRORS_ONLY = 3  # log severity: users cannot act on warnings of the graph optimiser


class OnnxRuntimeEngine(BaseEngine[Any]):
    """Runs an ONNX model with ONNX Runtime; see `Engine`.

    One session serves all streams, because sessions are safe to call from several threads. With the same threads and
    streams on the same machine, results are bit-identical from run to run.

    Args:
        model: an ONNX model with its weights inside.
        threads: number of CPU threads of all streams together.
        precision: ``"fp32"`` or ``"int8"``, only reported: the model itself defines which layers run in int8.
        streams: number of inferences that run at the same time.
        compiled: must be None, as `compiled` returns.

    Raises:
        BundleError: the model cannot be read, or its inputs and outputs have the wrong shapes.
        ResourceError: there is not enough memory for the model.
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
    ) -> None:
        if compiled is not None:
            raise UsageError("compiled: ONNX Runtime has no such form; expected None")
        content = model_bytes(model).graph
        check_no_external_data(content)
        onnxruntime = _import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads // streams)
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # By default ONNX Runtime also loads its own format, recognised by bytes that an ONNX file may hold as well: it
        # would then load something that the guard did not check.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's error classes have no common base but Exception
            raise refusal(self.library, error) from None
        network = NetworkShape.checked(
            [_fixed(node.shape) for node in session.get_inputs()],
            [_fixed(node.shape) for node in session.get_outputs()],
        )
        super().__init__(network, [session] * streams, precision)
        self._input: str = session.get_inputs()[0].name

    @staticmethod
    def supports(precision: str) -> bool:
        """Returns whether the engine supports a precision: its CPU kernels have float32 and int8, not bfloat16."""
        return "bf16" not in precision

    def _run(self, slot: Any, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self._network.batch or len(patches)
        chunks = [patches[first : first + size] for first in range(0, len(patches), size)]
        results = [slot.run(None, {self._input: chunk})[0] for chunk in chunks]
        return results[0] if len(results) == 1 else np.concatenate(results)


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
