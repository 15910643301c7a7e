import pytest
import torch
from bedside.runtime.errors import MissingExtraError, UsageError
from bedside.teacher import build_teacher
from bedside.teacher.convolutional import SegResNetConfig
from bedside.teacher.families import teacher_config
from bedside.teacher.simulated_step import parameters_on_meta


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


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [("segresnet", {}, 4_701_118), ("segresnet", {"init_filters": 32}, 18_796_398), ("swinunetr", {}, 62_187_296)],
)
def test_monais_networks_have_the_sizes_that_the_documents_give(name, options, count):
    with parameters_on_meta():
        model = build_teacher(name, num_classes=14, patch=64, **options)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_without_monai_its_families_name_the_extra(monkeypatch):
    def network(*_):
        raise ModuleNotFoundError("No module named 'monai'", name="monai")

    monkeypatch.setattr(SegResNetConfig, "network", network)
    with pytest.raises(MissingExtraError, match=r"monai .*bedside\[train\]"):
        build_teacher("segresnet", num_classes=2, patch=32)


def test_unknown_teacher_lists_the_known_ones():
    with pytest.raises(UsageError, match='no teacher "sam"; expected one of: autosam, autoprosam'):
        build_teacher("sam", num_classes=2)


def test_an_option_of_another_family_is_refused_with_those_of_this_one():
    with pytest.raises(UsageError, match='teacher "autosam" has no option "width"; expected: sam, checkpoint, depth_'):
        teacher_config("autosam", width=3)
