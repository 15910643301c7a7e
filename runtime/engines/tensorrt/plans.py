"""Plans that were built on this machine, kept in its cache.

A plan holds code for the GPU. So it is read only from the user's own cache, where its hash must be the recorded one,
never from a bundle, and its key holds everything that it depends on: GPU, driver, TensorRT and model.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ...files.machine_cache import MachineCache
from ..cuda import Gpu
from .builder import WORKSPACE_BYTES, build_plan
from .library import logger

_log = logging.getLogger("bedside.engine")


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a plan or a timing cache: the SHA-256 that names its content in the machine's cache."""

    sha256: str


class PlanCache:
    """The plans and the timing cache of one GPU.

    Args:
        trt: the module ``tensorrt``, or one with the same interface.
        gpu: the GPU that runs the plans.
        cache: the machine's cache.
    """

    def __init__(self, trt: Any, gpu: Gpu, cache: MachineCache) -> None:
        self._trt, self._cache = trt, cache
        self._machine = (f"TensorRT {trt.__version__}", gpu.name, gpu.capability, gpu.driver)

    def open(self, onnx: bytes, *, exact: bool, load: Callable[[bytes], Any]) -> Any:
        """Loads the plan of a model, which is built first where none is kept, or where the one kept does not load.

        Args:
            onnx: the model.
            exact: as for `build_plan`.
            load: returns what it makes of a plan, or None where it refuses the plan.

        Raises:
            BundleError: TensorRT refuses the model.
            ResourceError: there is not enough memory for the build.
        """
        key = "\n".join([*self._machine, hashlib.sha256(onnx).hexdigest(), f"{exact} {WORKSPACE_BYTES}"])
        kept = self._read(key)
        if kept is not None:
            loaded = load(kept)
            if loaded is not None:
                return loaded
            _log.info("cached plan rejected, building again: %s", logger(self._trt).reason())
        _log.info("TensorRT builds the model for this GPU, which takes minutes once")
        timings_key = "\n".join([*self._machine, "timings"])
        build = build_plan(self._trt, onnx, exact=exact, timings=self._read(timings_key) or b"")
        self._write(timings_key, build.timings)
        self._write(key, build.plan)
        return load(build.plan)

    def _read(self, key: str) -> bytes | None:
        record = self._cache.read(key, Kept)
        return None if record is None else self._cache.read_compiled(record.sha256)

    def _write(self, key: str, content: bytes) -> None:
        self._cache.write(key, Kept(self._cache.write_compiled(content)))
