"""Engines run the network: one small Protocol, one table row per engine."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import arguments
from ..errors import MissingExtraError, UsageError
from ..memory.cgroup import read_limits
from .model_bytes import Model

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "EngineEntry",
    "available_engines",
    "default_threads",
    "open_engine",
    "package_version",
    "supports",
]

PRECISIONS = ("fp32", "bf16", "int8", "int8-bf16")  # the most accurate first


class Engine(Protocol):
    """A network compiled for this machine. `infer` may be called from several threads.

    Attributes:
        name: name of its row in `ENGINES`.
        precision: precision of the variant it was opened with, one of `PRECISIONS`.
        parallel: number of `infer` calls that run at the same time; further calls wait.
        pending_bytes: bytes it will allocate on its first run, as far as known; 0 once it has run.
        patch_dhw: (D, H, W) of the network's window, in voxels.
        num_classes: number of output channels, background included.
    """

    name: str
    precision: str
    parallel: int
    pending_bytes: int
    patch_dhw: tuple[int, int, int]
    num_classes: int

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the network.

        Args:
            patches: [N, 1, D, H, W] float32, normalised.

        Returns:
            Logits [N, C, D, H, W] float32; the array belongs to the caller, no later call changes it.

        Raises:
            UsageError: the patches have another shape, or the engine is closed.
            ResourceError: the engine ran out of memory or failed while running.
        """
        ...

    def compiled(self) -> bytes | None:
        """Returns the network compiled for this machine, to open it faster next time; None where unsupported."""
        ...

    def close(self) -> None:
        """Waits for running calls of `infer`, then frees the engine's memory; may be called twice."""
        ...


@dataclass(frozen=True)
class EngineEntry:
    """One row of the engine table.

    Attributes:
        package: name of the Python package that the engine needs.
        extra: the extra of bedside that installs the package; None where the plain install does.
        module: relative name of the module that wraps the package.
        factory: name of the engine class in that module, called as
            ``factory(model, threads, precision, streams, compiled)``; its method ``supports(precision)`` serves
            `supports`.
    """

    package: str
    extra: str | None
    module: str
    factory: str


ENGINES: dict[str, EngineEntry] = {
    "openvino": EngineEntry("openvino", "openvino", ".open_vino", "OpenVinoEngine"),
    "onnxruntime": EngineEntry("onnxruntime", None, ".onnx_runtime", "OnnxRuntimeEngine"),
}  # the order is the order of preference of engine="auto"


def available_engines() -> list[str]:
    """Returns the names of the engines whose package is installed, the preferred one first; imports none of them."""
    return [name for name, entry in ENGINES.items() if find_spec(entry.package) is not None]


def package_version(package: str) -> str | None:
    """Returns the version of a package; None where it is not installed, or was installed without a wheel's metadata."""
    try:
        return version(package)
    except PackageNotFoundError:  # JetPack installs TensorRT without it
        return None


def default_threads() -> int:
    """Returns the number of CPUs this process may use, which in a container may be fewer than the machine has.

    A CPU quota is rounded up to whole CPUs: more threads than that would only block each other.
    """
    granted = read_limits().cpus
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus if granted is None else max(1, min(cpus, math.ceil(granted)))


def supports(name: str, precision: str) -> bool:
    """Returns whether an engine is installed and computes in a precision on this machine.

    Engines accept bfloat16 on any CPU and silently run in float32 where the CPU lacks it: that counts as unsupported.

    Args:
        name: name of a row in `ENGINES`.
        precision: one of `PRECISIONS`.

    Raises:
        UsageError: unknown engine or precision.
    """
    entry = _entry(name)
    arguments.one_of("precision", precision, PRECISIONS)
    return find_spec(entry.package) is not None and bool(_factory(entry).supports(precision))


def open_engine(
    name: str,
    model: Model,
    *,
    threads: int | None = None,
    precision: str = "fp32",
    streams: int = 1,
    compiled: bytes | None = None,
) -> Engine:
    """Opens a network with an engine and compiles it for this machine.

    Args:
        name: name of a row in `ENGINES`.
        model: path of an ONNX file, or its bytes; for openvino also the path of an IR's ``.xml``, with its ``.bin`` in
            the same folder. Or a function that returns `ModelBytes`, called only if they are needed, such as
            `Bundle.model` returns.
        threads: number of CPU threads of all streams together; None for all that the process may use.
        precision: one of `PRECISIONS`. The model itself defines which layers run in int8; with ``bf16``, all other
            layers run in bfloat16.
        streams: number of inferences that run at the same time, each with its share of the threads and its own
            activations.
        compiled: bytes that `Engine.compiled` returned for the same model, options and engine version on this machine.
            They are as powerful as code: never load them from elsewhere. None compiles the model.

    Raises:
        UsageError: the engine or precision is unknown or not available on this machine, or there are more streams than
            threads.
        MissingExtraError: the engine's package is not installed.
        BundleError: the model cannot be read, or is not [N, 1, D, H, W] → [N, C, D, H, W] with a fixed window.
        ResourceError: there is not enough memory for the model.
    """
    entry = _entry(name)
    arguments.one_of("precision", precision, PRECISIONS)
    threads = arguments.optional(arguments.whole_number, "threads", threads, 1, arguments.MOST_THREADS)
    threads = threads or default_threads()
    streams = arguments.whole_number("streams", streams, 1, threads)  # one thread for each
    if isinstance(model, (str, os.PathLike)):
        model = arguments.path("model", model)
    elif not (isinstance(model, bytes) or callable(model)):
        arguments.refuse("model", "a path, bytes, or a function that returns ModelBytes", model)
    arguments.optional(arguments.instance, "compiled", compiled, bytes)
    if find_spec(entry.package) is None:
        if entry.extra is None:
            raise UsageError(f"{entry.package} is not installed; run: pip install {entry.package}")
        raise MissingExtraError(entry.package, entry.extra)
    factory = _factory(entry)
    if not factory.supports(precision):
        raise UsageError(f"{name} does not compute in {precision} on this machine; choose fp32, int8 or auto")
    return factory(model, threads, precision, streams, compiled)


def _entry(name: str) -> EngineEntry:
    return ENGINES[arguments.known("engine", name, ENGINES)]


def _factory(entry: EngineEntry) -> Any:
    return getattr(import_module(entry.module, __name__), entry.factory)
