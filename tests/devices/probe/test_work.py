"""The work of a kernel is what its network computes: counted in the ONNX of one repeat more."""

from __future__ import annotations

import pytest
from bedside.devices.planner.costs import NodeCost, model_cost
from bedside.devices.probe.kernels import KERNELS, Kernel
from bedside.devices.probe.networks import kernel_network
from bedside.devices.probe.work import MovedWork, OutputWork, ProductWork, kernel_work

from .test_kernels import named

FLOATS = [kernel for kernel in KERNELS if not kernel.quantized]
PRODUCTS = [kernel for kernel in FLOATS if isinstance(kernel_work(kernel), ProductWork)]
COUNTED = [kernel for kernel in FLOATS if kernel.kind in ("instance norm", "layer norm", "softmax", "copy")]
OUTPUTS = [kernel for kernel in FLOATS if isinstance(kernel_work(kernel), OutputWork)]


def moved(kernel: Kernel, repeats: int) -> int:
    def values(node: NodeCost) -> int:
        return 0 if node.fused else node.read + node.written

    return sum(map(values, model_cost(kernel_network(kernel, repeats)).nodes))


def test_the_work_of_a_convolution_by_hand():
    assert kernel_work(Kernel("conv", 8, 16, 10)) == ProductWork(8 * 27, 16, 1000)
    assert kernel_work(Kernel("strided conv", 8, 16, 10)) == ProductWork(8 * 27, 16, 125)
    assert ProductWork(8 * 27, 16, 125).operations == 2 * 8 * 27 * 16 * 125


def test_the_work_of_a_copy_by_hand():
    assert kernel_work(Kernel("copy", 4, 4, 10)) == MovedWork(4 * 4 * 1000)


@pytest.mark.parametrize("kernel", PRODUCTS, ids=named)
def test_a_product_has_the_operations_that_a_repeat_adds(kernel):
    work = kernel_work(kernel)
    assert isinstance(work, ProductWork)
    once, twice = (model_cost(kernel_network(kernel, repeats)).flops for repeats in (1, 2))
    assert work.operations == twice - once


@pytest.mark.parametrize("kernel", COUNTED, ids=named)
def test_what_moves_values_has_those_that_a_repeat_reads_and_writes(kernel):
    assert kernel_work(kernel) == MovedWork(moved(kernel, 2) - moved(kernel, 1))


@pytest.mark.parametrize("kernel", OUTPUTS, ids=named)
def test_an_output_has_the_values_that_the_network_writes(kernel):
    work = kernel_work(kernel)
    assert isinstance(work, OutputWork)
    nodes = [node for node in model_cost(kernel_network(kernel, 1)).nodes if not node.fused]
    assert work.values == nodes[-1].written
