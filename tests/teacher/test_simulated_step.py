"""Bytes alive while code runs, on tensors a person can count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from bedside.teacher.simulated_step import LiveMemory, SimulatedStep, parameters_on_meta
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

torch.set_num_threads(1)

KB = 1000  # of 250 float32


def test_bytes_are_held_as_long_as_their_tensor():
    with LiveMemory() as live:
        a = torch.zeros(250)
        b = a + 1
        assert live.held == 2 * KB
        del a
        assert live.held == KB
    assert live.peak == 2 * KB
    del b


def test_views_and_changes_in_place_take_nothing():
    with LiveMemory() as live:
        a = torch.zeros(250)
        b = a.view(10, 25).t()[2:]
        b.add_(1)
        assert live.held == KB
        del a
        assert live.held == KB


def test_temporaries_count_while_they_last():
    with LiveMemory() as live:
        a = torch.zeros(250)
        a = (a + 1) * 2
    assert (live.held, live.peak) == (KB, 3 * KB)


def test_what_autograd_keeps_is_held_until_the_backward_pass():
    x = torch.zeros(250, requires_grad=True)
    with LiveMemory() as live:
        y = x.exp().sin().sum()  # exp keeps its result, which is what sin keeps of its input: one tensor, and the sum
        assert live.held == KB + 4
        y.backward()
        assert live.held == 4 + KB  # the sum, and the gradient
    assert x.grad is not None


def test_gradients_from_two_operations_are_added_in_place_as_with_real_tensors():
    x = torch.zeros(250, requires_grad=True)
    with LiveMemory() as live:
        a = x * 2
        loss = (a * 3).sum() + (a * 5).sum()
        del a
        loss.backward()  # two gradients, and no third for their sum
    assert 2 * KB < live.peak < 2.1 * KB


def test_a_gradient_that_something_else_holds_is_not_added_in_place():
    x, held = torch.zeros(250, requires_grad=True), []
    with LiveMemory() as live:
        a = x * 2
        b, c = a.view(250), a.view(250)
        b.register_hook(lambda gradient: held.append(gradient.view(250)))
        c.register_hook(lambda gradient: held.append(gradient.view(250)))
        loss = (b * 3).sum() + (c * 5).sum()
        del a, b, c
        loss.backward()
    assert live.peak > 3 * KB


def test_a_gathered_gradient_is_scattered_into_its_zeros():
    x = torch.zeros(250, requires_grad=True)
    with LiveMemory() as live:
        x.gather(0, torch.zeros(1, dtype=torch.long)).sum().backward()
    assert KB < live.peak < 1.1 * KB


def test_the_loss_does_not_hold_the_logits_through_the_backward_pass():
    # Three copies of the output for the softmax, its logarithm and a gradient; a fourth while it is multiplied.
    logits = 4 * 5 * 16**3
    with parameters_on_meta():
        model = nn.Conv3d(1, 5, 1)
    with FakeTensorMode(allow_non_fake_inputs=True):
        memory, _ = SimulatedStep((1, 1, 16, 16, 16), bf16=False).memory(model)
    assert memory.peak < 4.9 * logits


def test_tensors_without_memory_are_followed_just_the_same():
    with FakeTensorMode(), LiveMemory() as live:
        a = torch.empty(250 * 10**9)
        assert live.held == 10**9 * KB
        del a
        assert live.held == 0


class Tied(nn.Module):
    """Two layers that share a weight, one of them frozen, and a table whose values the builder reads."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 3, bias=False)
        self.other = nn.Linear(3, 3, bias=False)
        self.other.weight = self.one.weight
        self.fixed = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("table", torch.arange(3))
        self.largest = self.table.max().item()


def test_parameters_need_no_memory_and_the_builder_may_read_other_tensors():
    with parameters_on_meta():
        model = Tied()
    assert {name: parameter.is_meta for name, parameter in model.named_parameters()} == {
        "one.weight": True,
        "fixed": True,
    }
    assert model.other.weight is model.one.weight
    assert model.one.weight.requires_grad
    assert not model.fixed.requires_grad
    assert model.largest == 2
    assert not any(parameter.is_meta for parameter in Tied().parameters())


def test_networks_that_another_thread_builds_meanwhile_are_real():
    with parameters_on_meta(), ThreadPoolExecutor(1) as pool:
        assert not any(parameter.is_meta for parameter in pool.submit(Tied).result().parameters())


class Attention(nn.Module):
    """Attention of a volume's 64 voxels as tokens of one channel, scaled."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        tokens = (self.scale * x).flatten(2)[..., None]
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)


def test_the_work_of_fused_attention_is_counted():
    with FakeTensorMode():
        forward, step = SimulatedStep((1, 1, 4, 4, 4), bf16=False).flops(Attention())
    scores = 2 * 64 * 64  # a multiplication and an addition for each pair of tokens
    assert forward == 2 * scores  # queries with keys, and scores with values
    assert step == forward + 5 * scores  # which recomputes the scores, and has two products for each of the above
