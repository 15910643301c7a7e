"""The patches that follow from the strides of an edge U-Net."""

import pytest
from bedside.distill.students.edge_unet_design import EdgeUNetDesign
from bedside.training.patch_rule import PatchRule


@pytest.mark.parametrize(
    ("stem_stride", "channels", "stride"), [(1, (8, 16, 32, 64), 8), (2, (8, 16, 32), 8), (2, (8, 16, 24, 32, 48), 32)]
)
def test_a_patch_is_a_multiple_of_the_product_of_all_strides(stem_stride, channels, stride):
    design = EdgeUNetDesign(channels=channels, decoder=channels[:-1], stem_stride=stem_stride)
    assert design.patch_rule == PatchRule(multiple=stride, min_longest_edge=2 * stride)


def test_levels_without_residual_blocks_have_none():
    assert EdgeUNetDesign(channels=(8, 16), decoder=(8,)).blocks == (0, 0)
    assert EdgeUNetDesign(channels=(8, 16), decoder=(8,), residual_blocks=(0, 2)).blocks == (0, 2)
