"""Engines: what runs the network. One small Protocol, one table row per engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, UsageError

__all__ = ["ENGINES", "Engine", "EngineEntry", "available_engines", "default_threads", "open_engine"]


class Engine(Protocol):
    """A network made ready to run on this machine. `infer` may be called from several threads.

    Attributes:
        name: row of the engine table.
        precision: ``"fp32"`` or ``"int8"``, the variant it was opened with.
        patch_dhw: (D, H, W) of the window it takes.
        num_classes: channels it returns.
    """

    name: str
    precision: str
    patch_dhw: tuple[int, int, int]
    num_classes: int

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the network.

        Args:
            patches: [N, 1, D, H, W] float32, normalised.

        Returns:
            Logits [N, C, D, H, W] float32; the caller may overwrite them.

        Raises:
            UsageError: the patches have another shape, or the engine is closed.
            ResourceError: the engine ran out of memory or failed while running.
        """
        ...

    def close(self) -> None:
        """Gives the engine's memory back; may be called twice."""
        ...


@dataclass(frozen=True)
class EngineEntry:
    """One row of the engine table.

    Attributes:
        package: the import it needs.
        extra: the extra of bedside that brings the package; None where the plain install does.
        module: the module here that wraps it, with a class `factory` made by ``factory(model, threads, precision)``.
        factory: name of that class.
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


def default_threads() -> int:
    """Returns the number of CPUs this process may use; in a container that is less than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_engine(name: str, model: Path | bytes, *, threads: int | None = None, precision: str = "fp32") -> Engine:
    """Makes a network ready to run.

    Args:
        name: row of the engine table.
        model: an ONNX file or its bytes; for openvino also the ``.xml`` of an IR with its ``.bin`` beside it.
        threads: CPU threads; None uses all that the process may use.
        precision: the variant's precision, kept for reports; the model itself decides what runs in int8.

    Raises:
        UsageError: unknown engine, or fewer than one thread.
        MissingExtraError: the engine's package is not installed.
        BundleError: the model cannot be read, or is not [N, 1, D, H, W] → [N, C, D, H, W] with a fixed window.
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise UsageError(f'no engine "{name}"; expected one of: {", ".join(ENGINES)}')
    if threads is not None and threads < 1:
        raise UsageError(f"threads: expected at least 1, got {threads}")
    if find_spec(entry.package) is None:
        if entry.extra is None:
            raise UsageError(f"{entry.package} is not installed; run: pip install {entry.package}")
        raise MissingExtraError(entry.package, entry.extra)
    factory = getattr(import_module(entry.module, __name__), entry.factory)
    return factory(model, threads or default_threads(), precision)
