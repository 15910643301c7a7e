"""The edge U-Net: sizes of its levels, and that it computes the same once fused."""

import pytest
import torch
from bedside.distill.students.edge_unet import EdgeUNet
from bedside.distill.students.edge_unet_design import EdgeUNetDesign
from bedside.training.fusion import fused_copy
from torch import nn

torch.set_num_threads(1)

SMALL = EdgeUNetDesign(channels=(8, 16, 24), decoder=(8, 16))


def shapes(model, image):
    """Returns channels and sizes of what each level returns."""
    seen = []
    for level in (*model.encoder, *model.decoder):
        level.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[1:])))
    model(image)
    return seen


@pytest.mark.parametrize(("stem_stride", "edge"), [(1, 16), (2, 8)])
def test_levels_halve_the_resolution_and_the_decoder_doubles_it_again(stem_stride, edge):
    model = EdgeUNet(3, EdgeUNetDesign(channels=(8, 16, 24), decoder=(8, 16), stem_stride=stem_stride)).eval()
    cube = [(channels, *(edge // scale,) * 3) for channels, scale in ((8, 1), (16, 2), (24, 4), (16, 2), (8, 1))]
    assert shapes(model, torch.zeros(1, 1, 16, 16, 16)) == cube


@pytest.mark.parametrize(
    "design",
    [
        SMALL,
        EdgeUNetDesign(channels=(8, 16, 24), decoder=(8, 16), branches=True),
        EdgeUNetDesign(channels=(8, 16, 24), decoder=(8, 16), stem_stride=1, residual_blocks=(0, 1, 2), branches=True),
    ],
)
def test_the_fused_network_computes_the_same_with_single_convolutions(design):
    torch.manual_seed(0)
    model = EdgeUNet(3, design).double()
    for _ in range(3):
        model(torch.randn(2, 1, 16, 16, 24, dtype=torch.float64))
    fused = fused_copy(model)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in fused.modules())
    image = torch.randn(1, 1, 16, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fused(image), model.eval()(image), rtol=1e-5, atol=1e-12)


def test_every_voxel_of_a_stems_stride_has_logits_of_its_own():
    model = EdgeUNet(2, SMALL).eval()
    assert (model.head.kernel_size, model.head.stride) == ((2, 2, 2), (2, 2, 2))
    with torch.no_grad():
        logits = model(torch.rand(1, 1, 16, 16, 16))
    assert logits.shape == (1, 2, 16, 16, 16)
    assert len(logits[0, 0, :2, :2, :2].unique()) == 8


def test_at_full_resolution_the_head_is_an_ordinary_convolution():
    model = EdgeUNet(2, EdgeUNetDesign(channels=(8, 16), decoder=(8,), stem_stride=1))
    assert isinstance(model.head, nn.Conv3d)


def test_a_level_has_its_residual_blocks_or_one_more_convolution():
    model = EdgeUNet(2, EdgeUNetDesign(channels=(8, 16, 24), decoder=(8, 16), residual_blocks=(0, 1, 2)))
    kinds = [[type(block).__name__ for block in level] for level in model.encoder]
    assert kinds == [
        ["ConvolutionBlock", "ConvolutionBlock"],
        ["ConvolutionBlock", "ResidualBlock"],
        ["ConvolutionBlock", "ResidualBlock", "ResidualBlock"],
    ]
