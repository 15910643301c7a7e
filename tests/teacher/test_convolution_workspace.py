"""What a convolution is expected to hold while it computes, compared with what was measured."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.convolution_workspace import CONVOLUTIONS, convolution_workspace
from bedside.teacher.simulated_step import LiveMemory
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

MB = 1e6


class Workspaces(LiveMemory):
    """Notes the workspace of every convolution, in MB."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if func in CONVOLUTIONS:
            self.noted.append(convolution_workspace(func, args, result) / MB)
        return result


def workspaces(layer, shape):
    """Returns the MB of forward and backward pass."""
    with FakeTensorMode(), Workspaces() as seen:
        layer().train()(torch.empty(shape, requires_grad=True)).sum().backward()
    return seen.noted


# Measured on an AMD EPYC with AVX-512, one thread: the kernel's high-water mark less what the result needs.
@pytest.mark.parametrize(
    ("layer", "shape", "measured"),
    [
        (lambda: nn.Conv2d(16, 32, 3, padding=1), (8, 16, 128, 128), (16.7, 25.0)),
        (lambda: nn.Conv2d(3, 32, 3, padding=1), (8, 3, 128, 128), (16.7, 23.4)),
        (lambda: nn.Conv3d(16, 16, 3, padding=1), (2, 16, 32, 32, 32), (4.2, 8.3)),
        (lambda: nn.Conv3d(64, 64, 3, padding=1), (1, 64, 32, 32, 32), (8.7, 16.5)),
        (lambda: nn.ConvTranspose2d(32, 16, 2, 2), (8, 32, 64, 64), (16.7, 12.4)),
        (lambda: nn.ConvTranspose3d(32, 16, 2, 2), (1, 32, 32, 32, 32), (33.5, 20.9)),
    ],
)
def test_what_was_measured_is_predicted(layer, shape, measured):
    assert workspaces(layer, shape) == pytest.approx(measured, rel=0.1)


def test_torch_itself_unfolds_a_small_volume(monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with more, torch gives it to oneDNN
    try:
        assert workspaces(lambda: nn.Conv3d(16, 16, 3, padding=1), (1, 16, 32, 32, 32)) == pytest.approx(
            [56.6] * 2, rel=0.01
        )
        assert workspaces(lambda: nn.Conv3d(16, 16, 1), (1, 16, 32, 32, 32)) == [0, 0]
    finally:
        torch.set_num_threads(threads)


def test_the_peak_of_a_step_holds_the_workspace():
    with FakeTensorMode(), LiveMemory(workspace=True) as live:
        images = torch.empty(8, 16, 128, 128)
        nn.Conv2d(16, 32, 3, padding=1, bias=False)(images)
    assert live.peak >= images.nbytes + 2 * 2 * images.nbytes  # input, output, and the output's blocks
