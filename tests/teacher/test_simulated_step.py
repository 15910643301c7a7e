"""Bytes alive while code runs, on tensors a person can count."""

from __future__ import annotations

import torch
from bedside.teacher.simulated_step import LiveMemory
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


def test_tensors_without_memory_are_followed_just_the_same():
    with FakeTensorMode(), LiveMemory() as live:
        a = torch.empty(250 * 10**9)
        assert live.held == 10**9 * KB
        del a
        assert live.held == 0
