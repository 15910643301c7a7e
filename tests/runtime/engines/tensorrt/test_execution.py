"""One execution at a time: addresses, faults, what is freed."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime import BundleError, ResourceError
from bedside.runtime.engines.tensorrt.builder import build_plan
from bedside.runtime.engines.tensorrt.execution import Execution, Tensors
from bedside.runtime.engines.tensorrt.library import logger

from ..convolution import PATCH, convolved


@pytest.fixture
def network(tensorrt, model):
    plan = build_plan(tensorrt, model, exact=True).plan
    return tensorrt.Runtime(logger(tensorrt)).deserialize_cuda_engine(plan)


def test_input_and_output_are_found_by_their_mode(tensorrt, network):
    tensors = Tensors.of(tensorrt, network)
    assert (tensors.input_name, tensors.output_name) == ("image", "logits")
    assert (tensors.shape.patch_dhw, tensors.shape.num_classes) == (PATCH, 4)


def test_an_output_in_float16_is_refused(tensorrt, network):
    network.get_tensor_dtype = lambda name: {"image": tensorrt.float32, "logits": "DataType.HALF"}[name]
    with pytest.raises(BundleError, match="input or output is not float32"):
        Tensors.of(tensorrt, network)


def test_a_patch_is_computed_between_the_buffers(tensorrt, network):
    patch, logits = np.random.default_rng(1).random((1, *PATCH), np.float32), np.empty((4, *PATCH), np.float32)
    execution = Execution(tensorrt, network, Tensors.of(tensorrt, network))
    execution.run(patch, logits)
    np.testing.assert_allclose(logits, convolved(patch[0]), atol=2e-5)


def test_a_fault_of_the_gpu_is_reported_with_tensorrts_reason(tensorrt, network):
    execution = Execution(tensorrt, network, Tensors.of(tensorrt, network))
    tensorrt.fault = "Error Code 1: Cuda Runtime (an illegal memory access was encountered)"
    with pytest.raises(ResourceError, match="an illegal memory access was encountered"):
        execution.run(np.zeros((1, *PATCH), np.float32), np.empty((4, *PATCH), np.float32))


def test_a_context_that_does_not_fit_is_refused(tensorrt, network):
    network.create_execution_context = lambda: None
    with pytest.raises(ResourceError, match="TensorRT has no memory for the model"):
        Execution(tensorrt, network, Tensors.of(tensorrt, network))


def test_closing_frees_the_buffers(tensorrt, network, driver):
    execution = Execution(tensorrt, network, Tensors.of(tensorrt, network))
    assert len(driver.memory) == 4
    execution.close()
    assert driver.memory == {}
