"""Engines run the network: one small Protocol, one table row per engine."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .. import arguments, spelling
from ..errors import ResourceError, UsageError
from ..memory.cgroup import read_limits
from ..memory.freed_heap import return_freed_heap
from .engine import CPU, PRECISIONS, BaseEngine, Engine, InferenceDevice, Precision, closed_on_error
from .model_bytes import Model, ModelFormat
from .network_shape import NetworkShape
from .table import ENGINES, EngineEntry

if TYPE_CHECKING:
    from .engine import EngineClass

__all__ = [
    "CPU",
    "ENGINES",
    "PRECISIONS",
    "BaseEngine",
    "Engine",
    "EngineEntry",
    "InferenceDevice",
    "ModelFormat",
    "NetworkShape",
    "Precision",
    "available_engines",
    "closed_on_error",
    "default_threads",
    "device_name",
    "engine_entries",
    "engines_with_variants_for",
    "inference_devices",
    "open_engine",
    "package_version",
    "supports",
]

_log = logging.getLogger("bedside.engine")


def available_engines() -> list[str]:
    """Returns the names of the engines whose package is installed, the preferred one first; imports none of them."""
    return [name for name, entry in engine_entries() if entry.is_installed]


def engine_entries() -> Iterator[tuple[str, EngineEntry]]:
    """Returns name and row of every engine, the preferred one first; logs and leaves out a plug-in that is broken."""
    return ENGINES.working()


def engines_with_variants_for(engine: str) -> Iterator[str]:
    """Yields the engines whose variants an engine can run: itself, then those with models in a format that it opens.

    Args:
        engine: name of an engine; one without a row is assumed to open ONNX.
    """
    yield engine
    entry = ENGINES.get(engine)
    formats = (ModelFormat.ONNX,) if entry is None else entry.formats
    for name, other in engine_entries():
        if name != engine and other.model_format in formats:
            yield name


def package_version(package: str) -> str | None:
    """Returns the version of a package; None where it is not installed, or was installed without a wheel's metadata.

    Args:
        package: name under which it is imported; the wheel may have another, as that of ``onnxruntime-gpu``.
    """
    try:
        return version(package)
    except PackageNotFoundError:  # JetPack installs TensorRT without it
        wheels = _wheels_of(package)
    return ", ".join(version(wheel) for wheel in wheels) or None


@cache
def _wheels_of(package: str) -> tuple[str, ...]:
    """Returns the wheels that hold a package; this reads the metadata of all wheels, without importing any."""
    top = package.partition(".")[0]  # `find_spec` imports what a part lies in
    return tuple(sorted(set(packages_distributions().get(top, ())))) if find_spec(top) else ()


def default_threads() -> int:
    """Returns the number of CPUs this process may use, which in a container may be fewer than the machine has.

    A CPU quota is rounded up to whole CPUs: more threads than that would only block each other.
    """
    granted = read_limits().cpus
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus if granted is None else max(1, min(cpus, math.ceil(granted)))


def device_name(given: str) -> str:
    """Returns a device's name as engines spell it, such as ``"GPU.1"`` for "gpu.1"; of other devices as it was given.

    Args:
        given: name of a device in upper or lower case, or "auto"; the device need not be on this machine.
    """
    kinds = ("auto", *(kind for _, entry in engine_entries() for kind in entry.devices))
    kind, dot, number = given.partition(".")
    return f"{spelling.canonical(kind, kinds)}{dot}{number}"


def inference_devices(name: str, precision: str | None = None) -> tuple[InferenceDevice, ...]:
    """Returns the devices of this machine on which an engine runs, the default one first.

    Engines accept bfloat16 on any CPU and silently run in float32 where the CPU lacks it: such a device is not among
    those of bfloat16. There is no device where the engine's package is not installed, or cannot be imported; the log
    says why.

    Args:
        name: name of a row in `ENGINES`, in upper or lower case.
        precision: one of `PRECISIONS`, for the devices that compute in it; None for all.

    Raises:
        UsageError: unknown engine or precision.
    """
    entry = ENGINES.find(spelling.canonical(name, ENGINES))
    precision = arguments.optional(spelling.one_of, "precision", precision, PRECISIONS)
    if not entry.is_installed:
        return ()
    try:
        found = entry.load().devices()
    except ResourceError as error:
        _log.warning("%s", error)
        return ()
    return tuple(device for device in found if precision is None or precision in device.precisions)


def supports(name: str, precision: str) -> bool:
    """Returns whether an engine has a device on this machine that computes in a precision; see `inference_devices`."""
    return bool(inference_devices(name, spelling.one_of("precision", precision, PRECISIONS)))


def open_engine(
    name: str,
    model: Model,
    *,
    threads: int | None = None,
    precision: str = "fp32",
    streams: int = 1,
    compiled: bytes | None = None,
    device: str | None = None,
) -> Engine:
    """Opens a network with an engine and compiles it for this machine.

    Args:
        name: name of a row in `ENGINES`; it, the precision and the device may be in upper or lower case.
        model: path of an ONNX file, or its bytes; for an engine that opens OpenVINO's IR also the path of its
            ``.xml``, with its ``.bin`` in the same folder. Or a function that returns `ModelBytes`, called only if they
            are needed, such as `Bundle.model` returns.
        threads: number of CPU threads of all streams together; None for all that the process may use.
        precision: one of `PRECISIONS`. The model itself defines which layers run in int8; with ``bf16``, all other
            layers run in bfloat16.
        streams: number of inferences that run at the same time, each with its own activations. They share the threads
            evenly, in ONNX Runtime as they need them.
        compiled: bytes that `Engine.compiled` returned for the same model, options and engine version on this machine.
            They are as powerful as code: never load them from elsewhere. None compiles the model.
        device: name of one of the engine's `inference_devices`; None for the first that computes in the precision.

    Raises:
        UsageError: the engine, precision or device is unknown or not available on this machine, or there are more
            streams than threads.
        MissingExtraError: the engine's package is not installed.
        BundleError: the model cannot be read, or is not [N, 1, D, H, W] → [N, C, D, H, W] with a fixed window.
        ResourceError: there is not enough memory for the model, or no device that the engine runs on.
    """
    entry = ENGINES.find(spelling.canonical(name, ENGINES))
    precision = spelling.one_of("precision", precision, PRECISIONS)
    threads = arguments.optional(arguments.whole_number, "threads", threads, 1, arguments.MOST_THREADS)
    threads = threads or default_threads()
    streams = arguments.whole_number("streams", streams, 1, threads)  # one thread for each
    if isinstance(model, (str, os.PathLike)):
        model = arguments.path("model", model)
    elif not (isinstance(model, bytes) or callable(model)):
        arguments.refuse("model", "a path, bytes, or a function that returns ModelBytes", model)
    arguments.optional(arguments.instance, "compiled", compiled, bytes)
    entry.require_installed()
    engine_class = entry.load()
    wanted = _device(name, engine_class, precision, device)
    engine = engine_class(model, threads, precision, streams, compiled, wanted)
    return_freed_heap()
    return engine


def _device(name: str, engine_class: EngineClass, precision: str, wanted: str | None) -> str:
    """Returns the name of the device to open a network on.

    Raises:
        UsageError: the engine has no device of that name, or none that computes in the precision.
        ResourceError: the engine finds no device at all.
    """
    found = engine_class.devices()
    if not found:
        raise ResourceError(f"{name} finds no device on this machine that it runs on; choose another engine")
    if wanted is not None:
        wanted = spelling.one_of("device", wanted, [device.name for device in found])
        found = tuple(device for device in found if device.name == wanted)
    able = [device.name for device in found if precision in device.precisions]
    if not able:
        where = "this machine" if wanted is None else wanted
        raise UsageError(f"{name} does not compute in {precision} on {where}; choose fp32, int8 or auto")
    return able[0]
