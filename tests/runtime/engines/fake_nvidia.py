"""A GPU of main memory: the driver library's functions and TensorRT's classes, as far as bedside calls them.

Both stand at the outermost seam. The driver allocates and copies as the real one does, so that a wrong address or size
ends the test; a plan is the ONNX model behind a mark of the version, and ONNX Runtime executes it between the buffers'
addresses. Signatures: CUDA Driver API reference, TensorRT's Python API reference.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from dataclasses import replace
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from bedside.runtime.engines import ENGINES, cuda

FLOAT = "DataType.FLOAT"


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


class Severity(IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class Logger:
    INTERNAL_ERROR, ERROR = Severity.INTERNAL_ERROR, Severity.ERROR


class FakeTensorRT:
    """The module ``tensorrt``.

    Attributes:
        driver: the driver whose memory the engines run in.
        builds: for each build, the timing cache that it began with and whether TF32 was allowed.
        build_error: what the builder logs instead of building; empty for none.
        fault: what an execution logs instead of running; empty for none.
        contexts: contexts that exist.
    """

    ILogger = Logger
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
    BuilderFlag = SimpleNamespace(TF32="TF32")
    MemoryPoolType = SimpleNamespace(WORKSPACE="WORKSPACE")
    TensorIOMode = SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT")
    float32 = FLOAT

    def __init__(self, driver: FakeDriver, version: str = "10.3.0") -> None:
        self.driver, self.__version__ = driver, version
        self.builds: list[tuple[bytes, bool]] = []
        self.build_error = self.fault = ""
        self.mark = f"plan of TensorRT {version}\n".encode()

    def Builder(self, log):
        return SimpleNamespace(
            create_network=Network,
            create_builder_config=Config,
            build_serialized_network=lambda network, config: self._build(log, network, config),
        )

    def OnnxParser(self, network, log):
        return Parser(network)

    def _build(self, log, network, config):
        assert network.get_input(0).shape[0] == 1
        assert config.workspace == 512 * 2**20
        if self.build_error:
            log.log(Severity.ERROR, self.build_error)
            return None
        self.builds.append((config.timings.content, config.tf32))
        config.timings.content += b"timed "
        return self.mark + network.content

    def Runtime(self, log):
        def deserialize(plan):
            if not plan.startswith(self.mark):
                log.log(Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT")
                return None
            return CudaEngine(self, log, plan.removeprefix(self.mark))

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


class Network:
    """A network definition, as the parser fills it."""

    def __init__(self, flags: int) -> None:
        assert flags == 1  # strongly typed
        self.content, self._tensors = b"", ([], [])

    def fill(self, content: bytes, graph: onnx.GraphProto) -> None:
        self.content = content
        self._tensors = tuple(
            [SimpleNamespace(shape=shape_of(v)) for v in values] for values in (graph.input, graph.output)
        )

    num_inputs = property(lambda self: len(self._tensors[0]))
    num_outputs = property(lambda self: len(self._tensors[1]))

    def get_input(self, index):
        return self._tensors[0][index]

    def get_output(self, index):
        return self._tensors[1][index]


class Parser:
    """TensorRT's ONNX parser: it names the nodes that it does not know."""

    def __init__(self, network: Network) -> None:
        self._network, self._unknown = network, []

    def parse(self, content: bytes) -> bool:
        graph = onnx.load_from_string(content).graph
        self._unknown = [node for node in graph.node if node.domain]
        self._network.fill(content, graph)
        return not self._unknown

    num_errors = property(lambda self: len(self._unknown))

    def get_error(self, index):
        node = self._unknown[index]
        return SimpleNamespace(
            node_operator=lambda: node.op_type, node_name=lambda: node.name, desc=lambda: "no importer for the operator"
        )


class Config:
    """A builder's configuration."""

    def __init__(self) -> None:
        self.workspace, self.tf32, self.timings = 0, True, None

    def set_memory_pool_limit(self, pool, size):
        self.workspace = size

    def clear_flag(self, flag):
        self.tf32 = self.tf32 and flag != "TF32"

    def create_timing_cache(self, content):
        if content.strip(b"timed "):
            return None
        cache = SimpleNamespace(content=content)
        cache.serialize = lambda: cache.content
        return cache

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        self.timings = cache


class CudaEngine:
    """A deserialized engine with one input and one output."""

    def __init__(self, trt: FakeTensorRT, log, content: bytes) -> None:
        self.trt, self.log = trt, log
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        tensors = (*self.session.get_inputs(), *self.session.get_outputs())
        self._shapes = {tensor.name: [1, *tensor.shape[1:]] for tensor in tensors}
        self._inputs = {tensor.name for tensor in self.session.get_inputs()}

    num_io_tensors = property(lambda self: len(self._shapes))

    def get_tensor_name(self, index):
        return list(self._shapes)[index]

    def get_tensor_mode(self, name):
        return "INPUT" if name in self._inputs else "OUTPUT"

    def get_tensor_shape(self, name):
        return self._shapes[name]

    def get_tensor_dtype(self, name):
        return FLOAT

    def create_execution_context(self):
        return Context(self)


class Context:
    """An execution context, which one thread may use at a time."""

    def __init__(self, engine: CudaEngine) -> None:
        self._engine, self._addresses, self._running = engine, {}, threading.Lock()

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        assert self._running.acquire(blocking=False)
        try:
            return self._execute(stream)
        finally:
            self._running.release()

    def _execute(self, stream):
        engine, driver = self._engine, self._engine.trt.driver
        assert stream in driver.streams
        if engine.trt.fault:
            engine.log.log(Severity.ERROR, engine.trt.fault)
            return False
        arrays = {
            name: driver.array(address, engine.get_tensor_shape(name)) for name, address in self._addresses.items()
        }
        outputs = [name for name in arrays if engine.get_tensor_mode(name) == "OUTPUT"]
        given = {name: array for name, array in arrays.items() if name not in outputs}
        for name, result in zip(outputs, engine.session.run(outputs, given), strict=True):
            arrays[name][...] = result
        return True


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    return [size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim]


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


@pytest.fixture
def tensorrt(driver, monkeypatch) -> FakeTensorRT:
    """A machine with a GPU and TensorRT."""
    fake = FakeTensorRT(driver)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setitem(ENGINES._rows, "tensorrt", replace(ENGINES["tensorrt"], package="numpy"))  # installed
    return fake
