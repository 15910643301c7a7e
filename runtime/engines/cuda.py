"""The few functions of NVIDIA's driver library that inference needs: memory, streams, and what the GPU is.

They are called through `ctypes`, because then a device needs no package for them. The library is part of every driver,
has one name whatever the version of CUDA, and keeps its functions compatible: a changed one gets a new name
(``cuMemAlloc_v2``). The alternatives: ``libcudart`` is named after CUDA's major version and is on no search path where
CUDA comes from a package; ``cuda-bindings`` must match that version too and has a proprietary licence. TensorRT and
ONNX Runtime use the same primary context.

Source: CUDA Driver API reference; names and meaning of the functions and attributes are the same in CUDA 12 and 13.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResourceError
from ..files.system_files import read_text

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR
_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC: a thread that waits for the GPU leaves its CPU to others
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_NAME_BYTES = 256


class CudaError(ResourceError):
    """A call of the driver library failed, or there is no such library or GPU."""


@dataclass(frozen=True)
class Gpu:
    """A GPU and its driver, as far as compiled networks depend on them.

    Attributes:
        name: the GPU's model.
        capability: compute capability, such as "8.7".
        driver: the driver's version as CUDA counts them and, where readable, the line by which it describes itself.
    """

    name: str
    capability: str
    driver: str


@cache
def load_library() -> Any:
    """Returns the driver library, initialised.

    Raises:
        CudaError: it cannot be loaded or initialised.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise CudaError(f"no NVIDIA driver on this machine: {_LIBRARY} cannot be loaded") from None
    _check(library, "cuInit", library.cuInit(0))
    return library


def describe_gpu() -> Gpu:
    """Describes the first GPU of this machine.

    Raises:
        CudaError: there is no driver or no GPU.
    """
    library, device = load_library(), ctypes.c_int()
    _check(library, "cuDeviceGet", library.cuDeviceGet(ctypes.byref(device), 0))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _check(library, "cuDeviceGetName", library.cuDeviceGetName(name, _NAME_BYTES, device))
    numbers: list[int] = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        status = library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        _check(library, "cuDeviceGetAttribute", status)
        numbers.append(value.value)
    version = ctypes.c_int()
    _check(library, "cuDriverGetVersion", library.cuDriverGetVersion(ctypes.byref(version)))
    described, _, _ = read_text(Path("/proc/driver/nvidia/version")).partition("\n")
    driver = f"{version.value} {described}".strip()
    return Gpu(name.value.decode(errors="replace"), f"{numbers[0]}.{numbers[1]}", driver)


class CudaStream:
    """A stream of the first GPU, with the buffers that one inference at a time needs; a context manager.

    The calling thread may be another one each time. After a fork, the child must not use it.

    Args:
        input_bytes: size of the input.
        output_bytes: size of the output.

    Attributes:
        handle: address of the stream.
        device_input: address of the input in the GPU's memory.
        device_output: address of the output in the GPU's memory.

    Raises:
        CudaError: there is no GPU, or not enough memory for the buffers.
    """

    def __init__(self, input_bytes: int, output_bytes: int) -> None:
        self._library = load_library()
        self._context = _primary_context(self._library)
        self._frees: list[tuple[str, ctypes.c_void_p]] = []
        self._enter_context()
        try:
            self.handle = self._created("cuStreamCreate", "cuStreamDestroy_v2", _NON_BLOCKING)
            self.device_input = self._created("cuMemAlloc_v2", "cuMemFree_v2", ctypes.c_size_t(input_bytes))
            self.device_output = self._created("cuMemAlloc_v2", "cuMemFree_v2", ctypes.c_size_t(output_bytes))
            self._host_input = self._pinned(input_bytes)
            self._host_output = self._pinned(output_bytes)
        except BaseException:
            self.close()
            raise

    def upload(self, values: NDArray[np.float32]) -> None:
        """Starts copying the input to the GPU, through pinned memory; returns before it has arrived."""
        self._enter_context()
        host = self._host_input
        np.copyto(host, values.reshape(-1).view(np.uint8))
        self._call("cuMemcpyHtoDAsync_v2", _pointer(self.device_input), *_extent(host), _pointer(self.handle))

    def download(self, values: NDArray[np.float32]) -> None:
        """Copies the output from the GPU into a contiguous array once all work in the stream is done."""
        host = self._host_output
        address, size = _extent(host)
        self._call("cuMemcpyDtoHAsync_v2", address, _pointer(self.device_output), size, _pointer(self.handle))
        self._call("cuStreamSynchronize", _pointer(self.handle))
        np.copyto(values.reshape(-1).view(np.uint8), host)

    def close(self) -> None:
        """Frees stream and buffers; may be called twice.

        Raises:
            CudaError: the driver reports a fault of earlier work.
        """
        if not self._frees:
            return
        self._enter_context()
        while self._frees:
            function, handle = self._frees.pop()
            self._call(function, handle)

    def __enter__(self) -> CudaStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _created(self, create: str, free: str, *arguments: Any) -> int:
        """Calls a function that creates something, notes the one that frees it, and returns its address."""
        handle = ctypes.c_void_p()
        self._call(create, ctypes.byref(handle), *arguments)
        self._frees.append((free, handle))
        return handle.value or 0

    def _pinned(self, size: int) -> NDArray[np.uint8]:
        """Returns page-locked memory, from which the GPU copies without the driver's own staging buffer."""
        address = self._created("cuMemHostAlloc", "cuMemFreeHost", ctypes.c_size_t(size), 0)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def _enter_context(self) -> None:
        self._call("cuCtxSetCurrent", self._context)

    def _call(self, function: str, *arguments: Any) -> None:
        _check(self._library, function, getattr(self._library, function)(*arguments))


@cache
def _primary_context(library: Any) -> ctypes.c_void_p:
    """Returns the context that all libraries of this process share; it lives until the process ends."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _check(library, "cuDeviceGet", library.cuDeviceGet(ctypes.byref(device), 0))
    _check(library, "cuDevicePrimaryCtxSetFlags", library.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC))
    _check(library, "cuDevicePrimaryCtxRetain", library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    return context


def _extent(buffer: NDArray[np.uint8]) -> tuple[ctypes.c_void_p, ctypes.c_size_t]:
    return ctypes.c_void_p(buffer.ctypes.data), ctypes.c_size_t(buffer.nbytes)


def _pointer(address: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)


def _check(library: Any, function: str, status: int) -> None:
    if status == 0:
        return
    text = ctypes.c_char_p()
    library.cuGetErrorString(status, ctypes.byref(text))
    reason = (text.value or b"unknown error").decode(errors="replace")
    raise CudaError(f"the GPU's driver refuses {function}: {reason} ({status})")
