"""The mask decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bedside.teacher.autosam.decoder import MaskDecoder, UpsampleConcatConv3d, tap_matrices

torch.set_num_threads(1)


def test_logits_have_the_resolution_of_the_image():
    decoder = MaskDecoder(4, 6, maps=4, num_classes=5)
    logits = decoder([torch.randn(2, 4, 4, 5, 6) for _ in range(4)], torch.randn(2, 1, 16, 20, 24))
    assert logits.shape == (2, 5, 16, 20, 24)


def test_fusion_sees_the_maps_doubled_and_the_image_halved():
    torch.manual_seed(0)
    decoder = MaskDecoder(4, 6, maps=2, num_classes=3)
    seen = []
    decoder.fuse[0].register_forward_hook(lambda *call: seen.append(call[-1]))
    maps, image = [torch.randn(1, 4, 4, 4, 4) for _ in range(2)], torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        decoder(maps, image)
        heads = torch.cat([head(features) for head, features in zip(decoder.heads, maps, strict=True)], dim=1)
    doubled = F.interpolate(heads, scale_factor=2, mode="trilinear", align_corners=False)
    half = F.interpolate(image, scale_factor=0.5, mode="trilinear", align_corners=False)
    expected = F.conv3d(torch.cat([doubled, half], dim=1), decoder.fuse[0].weight, padding=1)
    assert expected.shape == (1, 6, 8, 8, 8)
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=0)


def convolution_and_maps() -> tuple[UpsampleConcatConv3d, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    convolution = UpsampleConcatConv3d(4, 1, 3).double()
    small = torch.randn(2, 4, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    return convolution, small, torch.randn(2, 1, 4, 6, 10, dtype=torch.float64)


def enlarged_first(convolution, small, large):
    doubled = F.interpolate(small, scale_factor=2, mode="trilinear", align_corners=False)
    return F.conv3d(torch.cat([doubled, large], dim=1), convolution.weight, padding=1)


def test_convolving_first_equals_enlarging_first_borders_included():
    convolution, small, large = convolution_and_maps()
    expected = enlarged_first(convolution, small, large)
    assert expected.shape == (2, 3, 4, 6, 10)
    torch.testing.assert_close(convolution(small, large), expected, atol=1e-12, rtol=0)


def test_gradients_equal_those_of_enlarging_first():
    convolution, small, large = convolution_and_maps()
    wanted = [convolution.weight, small]
    ours = torch.autograd.grad(convolution(small, large).square().sum(), wanted)
    expected = torch.autograd.grad(enlarged_first(convolution, small, large).square().sum(), wanted)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_middle_tap_reads_a_quarter_and_three_quarters_and_outer_taps_read_zero_outside():
    before, middle, after = tap_matrices(3)
    assert middle.tolist() == [
        [1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75], [0, 0, 1],
    ]  # fmt: skip
    assert not before[0].any()
    assert not after[-1].any()
    assert torch.equal(before[1:], middle[:-1])
    assert torch.equal(after[:-1], middle[1:])


def test_the_enlarged_maps_never_exist():
    convolution, small, large = convolution_and_maps()
    largest = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        largest.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        convolution(small, large)
    assert max(largest) < 8 * small.numel() * small.element_size()
