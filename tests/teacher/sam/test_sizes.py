import pytest
from bedside.runtime.errors import UsageError
from bedside.teacher.sam.sizes import SAM_SIZES, find_sam_size


@pytest.mark.parametrize("size", SAM_SIZES.values(), ids=str)
def test_blocks_heads_and_global_blocks_fit_together(size):
    assert size.width % size.heads == 0
    assert size.depth % 4 == 0
    assert max(size.global_blocks) == size.depth - 1


def test_only_global_blocks_have_sams_long_position_tables():
    assert [find_sam_size("vit_b").table_size(block) for block in (0, 1, 2, 3, 5, 11)] == [14, 14, 64, 14, 64, 64]


def test_an_unknown_size_lists_the_known_ones():
    with pytest.raises(
        UsageError, match='no SAM size "vit_t"; expected one of: vit_b, vit_l, vit_h, vit_small, vit_nano'
    ):
        find_sam_size("vit_t")
