"""The build, by NVIDIA's own parser and builder where ``tensorrt-rtx`` is installed, and by recorded calls."""

from __future__ import annotations

import pytest
from bedside.runtime import BundleError, ResourceError
from bedside.runtime.engines.tensorrt.builder import build_plan
from onnx import TensorProto, helper

pytestmark = pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")


@pytest.fixture(scope="session")
def rtx():
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is for x86-64 alone")


def model_of(node, domain=""):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 4, 4, 4]) for name in ("image", "logits")]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()


class TestByNvidia:
    def test_a_convolution_is_built_without_a_gpu(self, rtx, model):
        plan = build_plan(rtx, model, exact=True).plan
        assert len(plan) > len(model)

    def test_an_unknown_operator_is_named(self, rtx):
        with pytest.raises(BundleError, match="TensorRT refuses the model: Fancy the_node"):
            build_plan(
                rtx, model_of(helper.make_node("Fancy", ["image"], ["logits"], "the_node", domain="x"), "x"), exact=True
            )

    def test_two_input_channels_are_refused(self, rtx):
        with pytest.raises(BundleError, match=r"expected one input \[N, 1, D, H, W\]"):
            build_plan(rtx, model_of(helper.make_node("Relu", ["image"], ["logits"])), exact=True)

    def test_what_is_no_onnx_is_refused(self, rtx):
        with pytest.raises(BundleError):
            build_plan(rtx, b"\x00not a model", exact=True)


class TestRecorded:
    def test_exact_builds_do_without_tf32(self, tensorrt, model):
        build_plan(tensorrt, model, exact=True)
        build_plan(tensorrt, model, exact=False)
        assert [tf32 for _, tf32 in tensorrt.builds] == [False, True]

    def test_a_build_begins_with_the_timings_given_and_returns_more(self, tensorrt, model):
        first = build_plan(tensorrt, model, exact=True)
        second = build_plan(tensorrt, model, exact=True, timings=first.timings)
        assert [timings for timings, _ in tensorrt.builds] == [b"", b"timed "]
        assert second.timings == b"timed timed "

    def test_timings_that_tensorrt_refuses_are_left_out(self, tensorrt, model):
        assert build_plan(tensorrt, model, exact=True, timings=b"of another version").timings == b"timed "

    def test_the_reason_of_a_failed_build_is_in_the_error(self, tensorrt, model):
        tensorrt.build_error = "Could not find any implementation for node conv1"
        with pytest.raises(
            BundleError, match="TensorRT refuses the model: Could not find any implementation for node conv1"
        ):
            build_plan(tensorrt, model, exact=True)

    def test_want_of_memory_is_not_the_models_fault(self, tensorrt, model):
        tensorrt.build_error = "Error Code 2: OutOfMemory (Requested size was 1073741824 bytes.)"
        with pytest.raises(ResourceError, match="TensorRT has no memory left for the model"):
            build_plan(tensorrt, model, exact=True)

    def test_an_earlier_failure_is_not_the_reason_of_a_later_one(self, tensorrt, model):
        for reason in ("first", "second"):
            tensorrt.build_error = reason
            with pytest.raises(BundleError, match=f"model: {reason}"):
                build_plan(tensorrt, model, exact=True)
