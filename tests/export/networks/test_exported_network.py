"""A network is checked on one patch before its export begins."""

from __future__ import annotations

import pytest
import torch
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks.exported_network import exported_network, with_one_output
from bedside.runtime import Bundle, Postprocessing
from bedside.runtime.errors import UsageError
from torch import nn


class Returning(nn.Module):
    """A network whose output is made from its logits by a function."""

    def __init__(self, classes: int, made) -> None:
        super().__init__()
        self.convolution, self.made = nn.Conv3d(1, classes, 1), made

    def forward(self, x):
        return self.made(self.convolution(x))


def test_the_first_of_several_outputs_counts(toy_task):
    network = Returning(3, lambda logits: [logits, logits[..., ::2, ::2, ::2]])
    patch = torch.rand(2, 1, *toy_task.patch.dhw)
    single = with_one_output(network, toy_task)
    assert torch.equal(single(patch), network.convolution(patch))


def test_a_network_with_one_output_stays_as_it_is(toy_task):
    network = Returning(3, lambda logits: logits)
    assert with_one_output(network, toy_task) is network
    assert not network.training


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Returning(5, lambda logits: logits), 'has 5 classes, the task "toy" 3 labels, background included'),
        (Returning(3, lambda logits: logits[:, :, ::2]), r"returns \[1, 3, 4, 12, 16\].*expected \[1, 3, 8, 12, 16\]"),
        (Returning(3, lambda logits: (logits[:, :, ::2], logits)), r"returns \[1, 3, 4, 12, 16\]"),
        (Returning(3, lambda logits: {"out": logits}), "returns a dict with out; expected logits"),
        (Returning(3, lambda logits: ()), "returns a tuple; expected logits"),
        (nn.Conv3d(2, 3, 1), r"refuses a patch \[1, 1, D, H, W\] of 8×12×16: .*expected input.* to have 2 channels"),
    ],
)
def test_any_other_output_is_refused_by_name(toy_task, network, message):
    with pytest.raises(UsageError, match=message):
        with_one_output(network, toy_task)


def test_facts_are_one_line_each_and_no_licence_is_claimed(toy_task):
    exported = exported_network(nn.Conv3d(1, 3, 1), toy_task, "Conv3d", {"origin": "some\nwhere"})
    assert exported.metrics == {"origin": "some where"}
    assert exported.licence.startswith("not stated")
    assert exported.teacher is None


def test_the_bundle_states_origin_licence_and_post_processing_of_the_network(toy_student, toy_task, tmp_path):
    removed = Postprocessing(largest_component=("fat",))
    network = exported_network(toy_student, toy_task, "Toy", {"origin": "elsewhere", "left_out": ""}, removed)
    out = export_bundle(network, tmp_path / "b", ExportOptions(precisions=["fp32"], threads=1))
    with Bundle.open(out) as bundle:
        manifest = bundle.manifest
    assert manifest.postprocessing == removed
    assert manifest.licence == "not stated; ask who trained the network"
    assert manifest.provenance.training == {"origin": "elsewhere"}
    assert manifest.licence in (out / "LICENSE").read_text()
    assert "| student | Toy |" in (out / "README.md").read_text()  # nothing about a teacher is known
