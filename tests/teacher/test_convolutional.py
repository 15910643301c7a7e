"""The options of SegResNet as a teacher; the conformance suite has the rest."""

import pytest
from bedside.runtime.errors import UsageError
from bedside.teacher.convolutional import SegResNetConfig


def test_each_level_has_its_number_of_residual_blocks():
    model = SegResNetConfig(init_filters=8, blocks="1,2,3,1").network(3, (8, 8, 8))
    assert [len(level) - 1 for level in model.down_layers] == [1, 2, 3, 1]  # less the convolution that halves
    assert [len(level) for level in model.up_layers] == [1, 1, 1]
    assert model.convInit.out_channels == 8


@pytest.mark.parametrize("blocks", ["1,2,2", "1,2,2,4,4", "1,2,0,4", "1,2,x,4", "1,2,-2,4", "1,2,2,33", "1, 2, 2, 4"])
def test_anything_but_four_numbers_of_blocks_is_refused(blocks):
    with pytest.raises(UsageError, match="blocks: expected 4 whole numbers from 1 to 32, such as 1,2,2,4, got"):
        SegResNetConfig(blocks=blocks)


@pytest.mark.parametrize(
    ("filters", "expected"), [(12, "a multiple of 8, got 12"), (0, "from 8 to 256, got 0"), ("16", "a whole number")]
)
def test_filters_form_eight_groups(filters, expected):
    with pytest.raises(UsageError, match=f"init_filters: expected .*{expected}"):
        SegResNetConfig(init_filters=filters)


def test_the_title_names_its_size():
    assert SegResNetConfig().title == "segresnet with 16 filters, blocks 1,2,2,4"
