"""TensorRT on a GPU of main memory: its classes, as far as bedside calls them.

They stand at the outermost seam. A plan is the ONNX model behind a mark of the version, and ONNX Runtime executes it
between the addresses in the driver's memory. Signatures: TensorRT's Python API reference.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from enum import IntEnum
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
from bedside.runtime.engines import ENGINES

from .fake_driver import FakeDriver

FLOAT = "DataType.FLOAT"


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
def tensorrt(driver, monkeypatch) -> FakeTensorRT:
    """A machine with a GPU and TensorRT."""
    fake = FakeTensorRT(driver)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setitem(ENGINES._rows, "tensorrt", replace(ENGINES["tensorrt"], package="numpy"))  # installed
    return fake
