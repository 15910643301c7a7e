"""A network of the user's own is built by a callable and gets the weights of a file."""

from __future__ import annotations

import pytest
import torch
from bedside.export.networks import open_network
from bedside.runtime.errors import InputError, UsageError

MODULE = """
from torch import nn

class Networks:
    ready = nn.Conv3d(1, 3, 1)

def build():
    return nn.Conv3d(1, 3, 1)

def fails():
    raise OSError("no such table")

def number():
    return 3
"""


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of the networks of a module in the current folder."""
    (tmp_path / "own_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(3, 1, 1, 1, 1), "bias": torch.zeros(3)}, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize("target", ["own_networks:build", "own_networks:Networks.ready"])
def test_the_network_has_the_weights_of_the_file(toy_task, weights, target):
    exported = open_network(target, weights, toy_task)
    assert exported.model.weight.eq(1).all()
    assert exported.student == "Conv3d"
    assert exported.metrics["origin"] == f"{target}, weights weights.pt"
    assert len(exported.metrics["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own_networks", "expected MODULE:CALLABLE"),
        ("no_such_module:build", 'no module "no_such_module"'),
        ("own_networks:missing", "has no attribute 'missing'"),
        ("own_networks:fails", "OSError: no such table"),
        ("own_networks:number", "expected a torch.nn.Module, got int"),
    ],
)
def test_a_callable_that_builds_no_network_is_refused_in_one_line(toy_task, weights, target, message):
    with pytest.raises(UsageError, match=message) as refusal:
        open_network(target, weights, toy_task)
    assert "\n" not in str(refusal.value)


def test_a_checkpoint_that_needs_pickle_is_refused(toy_task, weights):
    torch.save(torch.nn.Conv3d(1, 3, 1), weights)
    with pytest.raises(
        InputError, match=r"holds Python objects \(torch.nn.modules.conv.Conv3d\), which could run code"
    ):
        open_network("own_networks:build", weights, toy_task)
