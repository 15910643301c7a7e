"""Builds a TensorRT plan, an engine's serialized form, from an ONNX model.

The network is strongly typed: every tensor has the type that the ONNX gives it, in TensorRT 10 on request, in 11
always. So precision is the model's alone: the fp32, the fp16 or the Q/DQ int8 model. Builder flags for float16 and int8
are not used; TensorRT 11 has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import BedsideError
from ..network_shape import NetworkShape, refusal
from .library import logger

LIBRARY = "TensorRT"
WORKSPACE_BYTES = 512 * 2**20  # a layer's scratch memory; without a limit, the builder tries all memory of the machine


@dataclass(frozen=True)
class Build:
    """The result of a build.

    Attributes:
        plan: the engine's serialized form, for the machine and the TensorRT that built it.
        timings: the timing cache after the build, which makes the next one faster; empty without one.
    """

    plan: bytes
    timings: bytes


def build_plan(trt: Any, onnx: bytes, *, exact: bool, timings: bytes = b"") -> Build:
    """Builds the plan of a model for batches of one.

    Args:
        trt: the module ``tensorrt``, or one with the same interface, such as ``tensorrt_rtx``.
        onnx: an ONNX model with its weights inside.
        exact: whether float32 layers compute in float32; otherwise in TF32 where the GPU has it.
        timings: timing cache of an earlier build on this GPU; empty for none.

    Raises:
        BundleError: TensorRT refuses the model, or it is not [N, 1, D, H, W] → [N, C, D, H, W] with a fixed window.
        ResourceError: there is not enough memory for the build.
    """
    log = logger(trt)
    log.reason()  # of earlier failures
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        raise _refused("; ".join(_described(parser.get_error(index)) for index in range(parser.num_errors)))
    shape = NetworkShape.checked(
        [_free(network.get_input(index).shape) for index in range(network.num_inputs)],
        [_free(network.get_output(index).shape) for index in range(network.num_outputs)],
    )
    network.get_input(0).shape = (1, 1, *shape.patch_dhw)  # static shapes are faster; one GPU gains little from a batch
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if exact:
        config.clear_flag(trt.BuilderFlag.TF32)
    cache = config.create_timing_cache(timings) or config.create_timing_cache(b"")  # None where it refuses them
    config.set_timing_cache(cache, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _refused(log.reason())
    return Build(bytes(plan), bytes(cache.serialize()))


def _described(error: Any) -> str:
    """Returns a parser's error with the node it is about, so that an unknown operator is named."""
    return f"{error.node_operator()} {error.node_name()}: {error.desc()}".strip(" :")


def _free(shape: Any) -> list[int | None]:
    return [None if size < 0 else int(size) for size in shape]


def _refused(reason: str) -> BedsideError:
    return refusal(LIBRARY, RuntimeError(reason))
