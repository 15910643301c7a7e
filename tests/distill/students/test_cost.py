"""Parameters, operations and bytes of networks that a person can count."""

import pytest
import torch
from bedside.distill.students.convolution_blocks import ConvolutionBlock
from bedside.distill.students.cost import UnpredictableCostError, inference_cost
from bedside.runtime.axes import DHW
from torch import nn

PATCH = DHW(4, 6, 8)
VOXELS = 4 * 6 * 8
FLOAT = 4  # bytes


def two_convolutions(classes):
    return nn.Sequential(nn.Conv3d(1, 8, 3, padding=1, bias=False), nn.Conv3d(8, classes, 1))


def test_parameters_and_operations_of_two_convolutions():
    cost = inference_cost(two_convolutions, 5, PATCH)
    assert cost.parameters == 27 * 8 + (8 * 5 + 5)
    assert cost.flops == 2 * VOXELS * (27 * 8 + 8 * 5)


def test_activations_are_the_tensors_alive_at_once_without_the_weights():
    # While the second convolution runs, the caller holds the image, the first one's 8 channels and the 5 logits.
    assert inference_cost(two_convolutions, 5, PATCH).activation_bytes == FLOAT * VOXELS * (1 + 8 + 5)


def test_operations_are_those_of_the_fused_network_and_parameters_those_that_train():
    plain, branched = (
        inference_cost(lambda classes, b=branches: ConvolutionBlock(1, classes, branches=b), 4, PATCH)
        for branches in (False, True)
    )
    assert branched.flops == plain.flops == 2 * VOXELS * 27 * 4
    assert branched.parameters - plain.parameters == 4 + 2 * 4  # a 1×1×1 convolution and its normalisation


def test_the_transposed_convolution_of_a_head_counts_once_per_output_voxel():
    cost = inference_cost(lambda classes: nn.ConvTranspose3d(1, classes, 2, stride=2, bias=False), 3, PATCH)
    assert cost.flops == 2 * (8 * VOXELS) * 3


@pytest.mark.parametrize("edge", [64, 1024])
def test_no_tensor_of_the_networks_size_is_allocated(edge):
    cost = inference_cost(lambda classes: nn.Conv3d(1, classes, 1), 1000, DHW(edge, edge, edge))
    assert cost.activation_bytes == FLOAT * edge**3 * 1001  # 4 TB at 1024³


def test_the_networks_own_mode_and_gradients_stay_out_of_it():
    cost = inference_cost(lambda classes: nn.Sequential(nn.BatchNorm3d(1), nn.Conv3d(1, classes, 1)), 2, DHW(1, 1, 1))
    assert cost.parameters == 2 + 4
    assert torch.is_grad_enabled()


class Thresholded(nn.Module):
    """Computes only where the image is bright, so that its operations depend on the image."""

    def __init__(self, classes):
        super().__init__()
        self.convolution = nn.Conv3d(1, classes, 1)

    def forward(self, image):
        return self.convolution(image) * (1 if image.max().item() > 0 else 2)


def test_a_network_whose_operations_depend_on_the_image_is_refused():
    with pytest.raises(UnpredictableCostError, match="bedside benchmark"):
        inference_cost(Thresholded, 2, PATCH)
