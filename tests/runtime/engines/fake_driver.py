"""NVIDIA's driver with a GPU of main memory: the driver library's functions, as far as bedside calls them.

They stand at the outermost seam, and allocate and copy as the real ones do, so that a wrong address or size ends the
test. Signatures: CUDA Driver API reference.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from bedside.runtime.engines import cuda


class FakeDriver:
    """The functions of ``libcuda.so.1``.

    Attributes:
        memory: address → block, for what is allocated now.
        calls: names of the functions called, in order.
        failing: function → status it returns instead of working.
        driver_version: what cuDriverGetVersion reports.
    """

    def __init__(self, name: bytes = b"Orin (nvgpu)", capability: tuple[int, int] = (8, 7)) -> None:
        self.name, self.capability, self.driver_version = name, capability, 12060
        self.memory: dict[int, object] = {}
        self.streams: set[int] = set()
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}

    def __getattr__(self, function: str):
        work = getattr(type(self), f"_{function}")

        def call(*arguments):
            self.calls.append(function)
            if function in self.failing:
                return self.failing[function]
            work(self, *arguments)
            return 0

        return call

    def _cuInit(self, flags):
        pass

    def _cuDeviceGet(self, device, index):
        device._obj.value = index

    def _cuDeviceGetName(self, text, size, device):
        text.value = self.name

    def _cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.capability[{75: 0, 76: 1}[attribute]]

    def _cuDriverGetVersion(self, value):
        value._obj.value = self.driver_version

    def _cuDevicePrimaryCtxSetFlags_v2(self, device, flags):
        assert flags == 4

    def _cuDevicePrimaryCtxRetain(self, context, device):
        context._obj.value = 0xC0

    def _cuCtxSetCurrent(self, context):
        assert context.value == 0xC0

    def _cuGetErrorString(self, status, text):
        text._obj.value = {2: b"out of memory", 100: b"no CUDA-capable device is detected"}[status]

    def _cuStreamCreate(self, stream, flags):
        stream._obj.value = 0x5000 + len(self.streams)
        self.streams.add(stream._obj.value)

    def _cuStreamDestroy_v2(self, stream):
        self.streams.remove(stream.value)

    def _cuStreamSynchronize(self, stream):
        assert stream.value in self.streams

    def _cuMemAlloc_v2(self, address, size):
        block = (ctypes.c_uint8 * size.value)()
        address._obj.value = ctypes.addressof(block)
        self.memory[address._obj.value] = block

    def _cuMemHostAlloc(self, address, size, flags):
        self._cuMemAlloc_v2(address, size)

    def _cuMemFree_v2(self, address):
        del self.memory[address.value]

    def _cuMemFreeHost(self, address):
        self._cuMemFree_v2(address)

    def _cuMemcpyHtoDAsync_v2(self, target, source, size, stream):
        assert stream.value in self.streams
        assert len(self.memory[target.value]) == len(self.memory[source.value]) == size.value
        ctypes.memmove(target, source, size)

    def _cuMemcpyDtoHAsync_v2(self, target, source, size, stream):
        self._cuMemcpyHtoDAsync_v2(target, source, size, stream)

    def array(self, address: int, shape: list[int]) -> np.ndarray:
        """Returns the float32 array in a block; the block must have its size."""
        return np.frombuffer(self.memory[address], np.float32).reshape(shape)


@pytest.fixture
def driver(monkeypatch) -> FakeDriver:
    """A machine with a GPU and its driver."""
    fake = FakeDriver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    for function in (cuda.load_library, cuda._primary_context):
        function.cache_clear()
    yield fake
    for function in (cuda.load_library, cuda._primary_context):
        function.cache_clear()
