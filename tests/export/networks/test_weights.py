"""Weights arrive by name and shape, or the file is refused in one line."""

from __future__ import annotations

import zipfile

import pytest
import torch
from bedside.export.networks.weights import copy_weights, load_weights, weights_sha256
from bedside.runtime.errors import InputError
from safetensors.torch import save_file
from torch import nn


def layer(value: float) -> nn.Linear:
    made = nn.Linear(2, 1)
    nn.init.constant_(made.weight, value)
    nn.init.constant_(made.bias, value)
    return made


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"network_weights": {f"_orig_mod.{name}": tensor for name, tensor in state.items()}},
        lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
    ],
)
def test_tensors_are_found_under_the_usual_names_and_prefixes(tmp_path, wrapped):
    torch.save(wrapped(layer(7.0).state_dict()), tmp_path / "weights.pt")
    network = layer(0.0)
    load_weights(network, tmp_path / "weights.pt")
    assert network(torch.ones(1, 2)).item() == 21.0  # 7 + 7 + 7


def test_a_part_of_the_network_may_be_named_as_a_wrapper_is():
    class Holder(nn.Module):
        def __init__(self, value: float):
            super().__init__()
            self.module = layer(value)

    for prefix in ("", "module.", "_orig_mod."):
        network = Holder(0.0)
        content = {f"{prefix}{name}": tensor for name, tensor in Holder(7.0).state_dict().items()}
        copy_weights(network, content, "weights.pt")
        assert network.module(torch.ones(1, 2)).item() == 21.0


def test_a_safetensors_file_and_a_file_within_a_zip_are_read(tmp_path):
    save_file(layer(1.0).state_dict(), tmp_path / "weights.safetensors")
    torch.save(layer(2.0).state_dict(), tmp_path / "weights.pt")
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for name in ("weights.safetensors", "weights.pt"):
            archive.write(tmp_path / name, name)
    for name, expected in (("weights.safetensors", 3.0), ("weights.pt", 6.0)):
        inside = zipfile.Path(tmp_path / "both.zip", name)
        assert weights_sha256(inside) == weights_sha256(tmp_path / name)
        for path in (tmp_path / name, inside):
            network = layer(0.0)
            load_weights(network, path)
            assert network(torch.ones(1, 2)).item() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": torch.ones(1, 2)}, 'of another network: it lacks "bias"'),
        ({"weight": torch.ones(1, 2), "bias": torch.ones(1), "b": torch.ones(1)}, 'another network: it has also "b"'),
        ({"weight": torch.ones(1, 3), "bias": torch.ones(1)}, r'"weight" of shape \(1, 2\), got \(1, 3\)'),
        ({"weight": torch.full((1, 2), torch.nan), "bias": torch.ones(1)}, '"weight" holds NaN or infinity'),
        ({"epoch": 3}, "got no tensor"),
        ([1, 2], "got list"),
    ],
)
def test_other_tensors_than_the_networks_are_refused(content, message):
    network = layer(5.0)
    with pytest.raises(InputError, match=message):
        copy_weights(network, content, "weights.pt")
    assert network.weight.eq(5).all()


def test_a_network_may_leave_tensors_out_by_name():
    network = layer(0.0)
    state = {**layer(1.0).state_dict(), "head.bias": torch.ones(1)}
    copy_weights(network, state, "weights.pt", lambda name: None if name.startswith("head") else name)
    assert network.weight.eq(1).all()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no weights at"):
        load_weights(layer(0.0), tmp_path / "none.pt")
