"""Engines: what runs the network. One small Protocol, one table row per engine."""

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

PRECISIONS = ("fp32", "bf16", "int8", "int8-bf16")  # the most exact first


class Engine(Protocol):
    """A network made ready to run on this machine. `infer` may be called from several threads.

    Attributes:
        name: row of the engine table.
        precision: one of `PRECISIONS`, the variant it was opened with.
        parallel: how many calls of `infer` run at the same time; further ones wait for their turn.
        pending_bytes: memory it will take when it first runs, as far as that is known; 0 once it has run.
        patch_dhw: (D, H, W) of the window it takes.
        num_classes: channels it returns.
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
            Logits [N, C, D, H, W] float32, the caller's own: no later call changes them.

        Raises:
            UsageError: the patches have another shape, or the engine is closed.
            ResourceError: the engine ran out of memory or failed while running.
        """
        ...

    def compiled(self) -> bytes | None:
        """Returns the network as made ready for this machine, to open it faster next time; None where it cannot."""
        ...

    def close(self) -> None:
        """Gives the engine's memory back once the calls under way have returned; may be called twice."""
        ...


@dataclass(frozen=True)
class EngineEntry:
    """One row of the engine table.

    Attributes:
        package: the import it needs.
        extra: the extra of bedside that brings the package; None where the plain install does.
        module: the module here that wraps it, with a class `factory`.
        factory: name of that class: made by ``factory(model, threads, precision, streams, compiled)``, and its
            ``factory.supports(precision)`` answers `supports`.
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
    """Returns the engines whose package is installed, the preferred one first; imports none of them."""
    return [name for name, entry in ENGINES.items() if find_spec(entry.package) is not None]


def package_version(package: str) -> str | None:
    """Returns the version of an installed package; None where it is not, or came without a wheel's metadata."""
    try:
        return version(package)
    except PackageNotFoundError:  # JetPack brings TensorRT so
        return None


def default_threads() -> int:
    """Returns the number of CPUs this process may use; in a container that is less than the machine has.

    A share of CPU time counts as so many whole CPUs, rounded up: threads beyond it would only stop each other.
    """
    granted = read_limits().cpus
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus if granted is None else max(1, min(cpus, math.ceil(granted)))


def supports(name: str, precision: str) -> bool:
    """Returns whether an engine is installed and this machine really computes in a precision with it.

    Engines accept bfloat16 on any CPU and quietly run in float32 where the CPU has none: that is not support.

    Args:
        name: row of the engine table.
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
    """Makes a network ready to run.

    Args:
        name: row of the engine table.
        model: an ONNX file or its bytes; for openvino also the ``.xml`` of an IR with its ``.bin`` beside it. Or what
            returns the bytes, which is called if they are needed (`Bundle.model` makes such).
        threads: CPU threads of all streams together; None uses all that the process may use.
        precision: one of `PRECISIONS`. The model itself says which layers run in int8; ``bf16`` says that all others
            run in bfloat16.
        streams: inferences that run at the same time, each with its share of the threads and its own activations.
        compiled: what `Engine.compiled` returned for the same model, options and engine version on this machine. It is
            as powerful as code: never take it from elsewhere.

    Raises:
        UsageError: unknown engine or precision, one that this machine does not have, or streams without a thread.
        MissingExtraError: the engine's package is not installed.
        BundleError: the model cannot be read, or is not [N, 1, D, H, W] → [N, C, D, H, W] with a fixed window.
        ResourceError: there is no memory for it.
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
