import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher import build_teacher
from bedside.teacher.families import teacher_config


def test_both_papers_names_give_the_same_network():
    networks = []
    for name in ("autosam", "autoprosam"):
        torch.manual_seed(0)
        networks.append(teacher_config(name, sam="vit_nano").build(4, 32))
    one, other = networks
    assert type(one) is type(other)
    assert one.state_dict().keys() == other.state_dict().keys()
    x = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(one(x), other(x))


def test_unknown_teacher_lists_the_known_ones():
    with pytest.raises(UsageError, match='no teacher "sam"; expected one of: autosam, autoprosam'):
        build_teacher("sam", num_classes=2)


def test_an_option_of_another_family_is_refused_with_those_of_this_one():
    with pytest.raises(UsageError, match='teacher "autosam" has no option "width"; expected: sam, checkpoint, preset'):
        teacher_config("autosam", width=3)
