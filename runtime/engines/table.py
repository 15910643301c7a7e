"""The table of engines: one row per engine, with its capabilities."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError, ResourceError, UsageError
from ..registry import Registry
from .engine import CPU, Precision, importing
from .model_bytes import ModelFormat

if TYPE_CHECKING:
    from .engine import EngineClass


@dataclass(frozen=True)
class EngineEntry:
    """One row of the table of engines.

    Attributes:
        package: name of the Python package that the engine needs.
        extra: the extra of bedside that installs the package; None if the plain install or another package does.
        module: name of the module that wraps the package; with a leading dot, one of this folder.
        factory: name of the engine's class in that module, a `BaseEngine` or a class like it.
        formats: formats of the models that it opens; export writes the first one for it.
        precisions: precisions it runs on the devices that compute in them, the most accurate first.
        converts: those of them for which it needs no model of their own: it converts the fp32 or int8 model on opening.
        devices: kinds of devices that it can run on: the names of its `InferenceDevice` up to a point ("GPU.1").
        runs_on: what it runs on, for people.
        caches_compiled: whether `Engine.compiled` returns the compiled network.
    """

    package: str
    extra: str | None
    module: str
    factory: str
    formats: tuple[ModelFormat, ...]
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    converts: tuple[Precision, ...] = ()
    devices: tuple[str, ...] = (CPU,)
    runs_on: str = "CPU"
    caches_compiled: bool = False

    def __post_init__(self) -> None:
        if not self.formats:
            raise ValueError("formats: expected the formats of models that the engine opens, got none")

    @property
    def model_format(self) -> ModelFormat:
        """The format of models that export writes for this engine."""
        return self.formats[0]

    @property
    def is_installed(self) -> bool:
        """Whether the package is installed; does not import it."""
        try:
            return find_spec(self.package) is not None
        except (ImportError, ValueError):  # the package of "package.part" is missing, or cannot be imported
            return False

    def require_installed(self) -> None:
        """Checks that the package is installed.

        Raises:
            MissingExtraError: an extra of bedside installs it.
            UsageError: it is not installed.
        """
        if self.is_installed:
            return
        if self.extra is not None:
            raise MissingExtraError(self.package, self.extra)
        raise UsageError(f"{self.package} is not installed; run: pip install {self.package}")

    def load(self) -> EngineClass:
        """Imports the engine's module and returns its class.

        Raises:
            ResourceError: the module cannot be imported, or has no such class.
        """
        with importing(f"the engine module {self.module}"):
            engine_class: Any = getattr(import_module(self.module, __package__), self.factory, None)
        if not callable(getattr(engine_class, "devices", None)):
            raise ResourceError(f"{self.module}: expected an engine class {self.factory} with devices(), got none")
        return engine_class


ENGINES = Registry(
    "engine",
    EngineEntry,
    {
        "tensorrt": EngineEntry(
            package="tensorrt",
            extra="tensorrt",
            module=".tensorrt.engine",
            factory="TensorRtEngine",
            formats=(ModelFormat.ONNX,),
            precisions=("fp32", "fp16", "int8", "int8-fp16"),
            devices=("GPU",),
            runs_on="NVIDIA GPUs: Jetson Orin and Thor, graphics cards",
        ),
        "openvino": EngineEntry(
            package="openvino",
            extra="openvino",
            module=".open_vino",
            factory="OpenVinoEngine",
            formats=(ModelFormat.OPENVINO_IR, ModelFormat.ONNX),
            precisions=("fp32", "fp16", "bf16", "int8", "int8-bf16"),
            converts=("fp16", "bf16", "int8-bf16"),
            devices=(CPU, "GPU", "NPU"),
            runs_on="x86-64 and Arm CPUs, Intel GPUs and NPUs",
            caches_compiled=True,
        ),
        "onnxruntime": EngineEntry(
            package="onnxruntime",
            extra=None,
            module=".onnx_runtime",
            factory="OnnxRuntimeEngine",
            formats=(ModelFormat.ONNX,),
            precisions=("fp32", "fp16", "int8", "uint8", "int8-fp16"),
            devices=(CPU, "CUDA", "TensorRT"),
            runs_on="every CPU; NVIDIA GPUs with a build that has their providers",
        ),
    },
    group="bedside.engines",
)  # the order is the order of preference of engine="auto"
