"""Plans are decoded strictly; those of before nnU-Net 2.4 describe the same network by other fields."""

from __future__ import annotations

import pytest
from bedside.export.networks.nnunet_plans import DatasetDescription, Plans, decoded, read_json
from bedside.runtime.errors import InputError

from .nnunet_folder import plans

FORMER = {
    "UNet_class_name": "PlainConvUNet",
    "UNet_base_num_features": 2,
    "unet_max_num_features": 5,
    "n_conv_per_stage_encoder": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
    "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    "pool_op_kernel_sizes": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
}


def configuration(content, name="3d_fullres"):
    return decoded(content, Plans, "plans.json").configuration(name)


def test_a_configuration_has_what_it_inherits():
    inherited = configuration(plans(), "3d_fullres_bs4")
    assert inherited == configuration(plans())


def test_plans_of_before_2_4_give_the_same_architecture():
    content = plans()
    own = content["configurations"]["3d_fullres"]
    own["architecture"]["arch_kwargs"]["features_per_stage"] = [2, 4, 5]  # doubled, at most 5
    expected = configuration(content)
    content["configurations"]["3d_fullres"] = {key: own[key] for key in own if key != "architecture"} | FORMER
    former = configuration(content)
    assert former.architecture.kind == expected.architecture.kind == "PlainConvUNet"
    assert former.architecture.repeats == expected.architecture.repeats == [2, 2, 2]
    for field in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias"):
        assert getattr(former.architecture.arch_kwargs, field) == getattr(expected.architecture.arch_kwargs, field)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_class_name": "nets.Primus"}, '"Primus" has no translation; expected PlainConvUNet or'),
        ({"arch_kwargs": {"squeeze_excitation": True}}, "unknown field `squeeze_excitation`"),
        ({"arch_kwargs": {"strides": [[1, 1], [2, 2], [2, 2]]}}, "3 stages of a 3D network"),
        ({"arch_kwargs": {"n_conv_per_stage": [2, 2]}}, "3 stages of a 3D network"),
        ({"arch_kwargs": {"n_conv_per_stage_decoder": [2, 0]}}, "3 stages of a 3D network"),
        ({"arch_kwargs": {"features_per_stage": "many"}}, "Expected `array`, got `str`"),
    ],
)
def test_another_architecture_is_refused_by_name(change, message):
    content = plans()
    architecture = content["configurations"]["3d_fullres"]["architecture"]
    architecture["arch_kwargs"].update(change.pop("arch_kwargs", {}))
    architecture.update(change)
    with pytest.raises(InputError, match=message):
        _ = configuration(content).architecture.repeats


@pytest.mark.parametrize("parent", ["3d_fullres_bs4", "nowhere"])
def test_an_inheritance_without_end_is_refused(parent):
    content = plans()
    content["configurations"]["3d_fullres"]["inherits_from"] = parent
    with pytest.raises(InputError, match=f'no configuration "{parent}" that ends its inheritance'):
        configuration(content, "3d_fullres_bs4")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "cannot be read"), ("{}", "missing required field"), ("[1]", "dataset.json")]
)
def test_another_file_is_refused(tmp_path, text, message):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "dataset.json", DatasetDescription)
