"""The spatial adapter: its formula, its start, and that it can learn."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.adapter import SpatialAdapter

torch.set_num_threads(1)


def test_paper_adapter_is_the_papers_formula():
    torch.manual_seed(0)
    adapter = SpatialAdapter(8, last_relu=False, start_as_sam=False)
    x = torch.randn(1, 4, 4, 4, 8)
    hidden = (x @ adapter.down.weight.T + adapter.down.bias).clamp(min=0)
    hidden = adapter.convolution(hidden.movedim(-1, 1)).movedim(1, -1).clamp(min=0)
    torch.testing.assert_close(adapter(x), x + hidden @ adapter.up.weight.T + adapter.up.bias)


def test_released_adapter_only_ever_adds():
    torch.manual_seed(0)
    adapter = SpatialAdapter(8, last_relu=True, start_as_sam=False)
    x = torch.randn(1, 4, 4, 4, 8)
    change = adapter(x) - x
    assert change.min() > -1e-6
    assert change.max() > 0.01


def test_paper_adapter_starts_next_to_the_identity():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 8, 8, 96)
    change = SpatialAdapter(96, last_relu=False, start_as_sam=True)(x) - x
    assert 0 < change.abs().max() < 0.05


@pytest.mark.parametrize(("last_relu", "start_as_sam"), [(False, True), (True, False)])
def test_every_layer_gets_a_gradient_from_the_first_step_on(last_relu, start_as_sam):
    torch.manual_seed(0)
    adapter = SpatialAdapter(16, last_relu=last_relu, start_as_sam=start_as_sam)
    adapter(torch.randn(1, 4, 4, 4, 16)).square().sum().backward()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_adapter_sees_its_neighbours_in_all_three_directions():
    torch.manual_seed(0)
    adapter = SpatialAdapter(64, last_relu=False, start_as_sam=False).double()
    x = torch.randn(1, 5, 5, 5, 64, dtype=torch.float64)
    changed = x.clone()
    changed[0, 2, 2, 2] += 1
    reached = ((adapter(changed) - adapter(x)).abs().amax(dim=-1) > 1e-12)[0]
    inside = torch.zeros(5, 5, 5, dtype=torch.bool)
    inside[1:4, 1:4, 1:4] = True
    assert torch.equal(reached, inside)
