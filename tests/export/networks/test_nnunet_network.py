"""The two U-Nets have the tensor names of nnU-Net's checkpoints, and compute what their layers say."""

from __future__ import annotations

import pytest
import torch
from bedside.export.networks.nnunet_network import UNet
from bedside.runtime.errors import InputError

from .nnunet_folder import network, plans, saved_tensors

# As nnU-Net 2.8.1 saves them, here with 2 stages; second names and the segmentation layers of lower stages left out.
PLAIN = {
    "encoder.stages.0.0.convs.0.conv", "encoder.stages.0.0.convs.0.norm",
    "encoder.stages.1.0.convs.0.conv", "encoder.stages.1.0.convs.0.norm",
    "decoder.transpconvs.0",
    "decoder.stages.0.convs.0.conv", "decoder.stages.0.convs.0.norm",
    "decoder.seg_layers.0",
}  # fmt: skip
RESIDUAL = {
    "encoder.stem.convs.0.conv", "encoder.stem.convs.0.norm",
    "encoder.stages.0.blocks.0.conv1.conv", "encoder.stages.0.blocks.0.conv1.norm",
    "encoder.stages.0.blocks.0.conv2.conv", "encoder.stages.0.blocks.0.conv2.norm",
    "encoder.stages.1.blocks.0.conv1.conv", "encoder.stages.1.blocks.0.conv1.norm",
    "encoder.stages.1.blocks.0.conv2.conv", "encoder.stages.1.blocks.0.conv2.norm",
    "encoder.stages.1.blocks.0.skip.1.conv", "encoder.stages.1.blocks.0.skip.1.norm",  # skip.0 pools
    "decoder.transpconvs.0",
    "decoder.stages.0.convs.0.conv", "decoder.stages.0.convs.0.norm",
    "decoder.seg_layers.0",
}  # fmt: skip


def two_stages(**changes):
    content = plans()
    architecture = content["configurations"]["3d_fullres"]["architecture"]
    arguments = architecture["arch_kwargs"]
    for field in ("features_per_stage", "kernel_sizes", "strides"):
        arguments[field] = arguments[field][1:]
    arguments.update(n_stages=2, n_conv_per_stage=[1, 1], n_conv_per_stage_decoder=[1])
    arguments["strides"] = [[1, 1, 1], [1, 2, 2]]
    arguments.update(changes)
    if "n_blocks_per_stage" in changes:
        architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
        del arguments["n_conv_per_stage"]
    return content


@pytest.mark.parametrize(("changes", "names"), [({}, PLAIN), ({"n_blocks_per_stage": [1, 1]}, RESIDUAL)])
def test_tensors_have_the_names_of_nnunets_checkpoints(changes, names):
    state = network(two_stages(**changes)).state_dict()
    assert {name.rpartition(".")[0] for name in state} == names
    biases = {name for name in state if name.endswith(".bias")}
    assert {f"{name}.bias" for name in names} - biases == {
        name for name in {f"{n}.bias" for n in names} if "skip.1.conv" in name
    }


@pytest.mark.parametrize("changes", [{}, {"n_blocks_per_stage": [1, 3]}])
def test_logits_have_the_size_of_the_patch(changes):
    with torch.inference_mode():
        assert network(two_stages(**changes), 4)(torch.rand(2, 1, 4, 8, 6)).shape == (2, 4, 4, 8, 6)


def test_a_residual_block_whose_convolutions_are_zero_passes_its_pooled_input_on():
    unet = network(two_stages(n_blocks_per_stage=[1, 1], features_per_stage=[4, 4]))
    block = unet.encoder["stages"][1].blocks[0]
    for parameter in (*block.conv1.parameters(), *block.conv2.parameters()):
        torch.nn.init.zeros_(parameter)
    volume = torch.arange(16.0).reshape(1, 1, 1, 4, 4).expand(1, 4, 1, 4, 4)
    with torch.inference_mode():
        pooled = block(volume)
    assert pooled[0, 0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]  # means of 0 1 4 5, of 2 3 6 7, …


def test_second_names_and_lower_segmentation_layers_are_not_needed():
    unet = network()
    needed = {name for tensor in saved_tensors(unet) if (name := unet.name_of(tensor)) is not None}
    assert needed == set(unet.state_dict())
    assert unet.name_of("decoder.seg_layers.0.weight") is None
    assert unet.name_of("decoder.seg_layers.1.weight") == "decoder.seg_layers.1.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_op": "torch.nn.GroupNorm"}, "norm_op GroupNorm has no translation"),
        ({"nonlin": "torch.nn.GELU"}, "nonlin GELU has no translation; expected LeakyReLU or ReLU"),
        ({"conv_op": "torch.nn.Conv2d"}, "conv_op Conv2d has no translation"),
        ({"norm_op_kwargs": {"groups": 2}}, "norm_op_kwargs: .*groups"),
        ({"nonlin_kwargs": {"slope": 2}}, "nonlin_kwargs: .*slope"),
    ],
)
def test_other_layers_are_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        network(two_stages(**changes))


def test_a_network_is_a_module_of_torch():
    assert isinstance(network(), UNet)
