import pytest
from bedside.runtime.errors import UsageError
from bedside.teacher.autosam.designs import DESIGNS, find_design


@pytest.mark.parametrize("design", DESIGNS.values(), ids=lambda design: design.name)
def test_prompt_and_heads_read_every_stage_once(design):
    assert sorted((design.prompt_stage, *design.head_stages)) == [1, 2, 3, 4]


def test_an_unknown_design_lists_the_known_ones():
    with pytest.raises(UsageError, match='no teacher preset "code"; expected one of: paper, released_code'):
        find_design("code")
