"""Attention within a slice, against segment-anything's own."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.slice_attention import SliceAttention
from bedside.teacher.simulated_step import LiveMemory
from segment_anything.modeling.image_encoder import Attention, window_partition, window_unpartition

torch.set_num_threads(1)


@pytest.mark.parametrize("tokens", [(14, 28), (4, 4), (15, 20)])
@pytest.mark.parametrize("window", [0, 14])
def test_attention_is_sams_between_its_window_partition_and_unpartition(tokens, window):
    torch.manual_seed(0)
    ours = SliceAttention(24, 3, table=16, window=window)
    torch.nn.init.normal_(ours.rel_pos_h)
    torch.nn.init.normal_(ours.rel_pos_w)
    sams = Attention(24, 3, use_rel_pos=True, input_size=(16, 16))
    state = ours.state_dict()
    sams.load_state_dict({name: state[name] for name in sams.state_dict()})
    x = torch.randn(2, *tokens, 24, requires_grad=True)
    windows, padded = window_partition(x, window) if window else (x, tokens)
    expected = sams(windows)
    expected = window_unpartition(expected, window, padded, tokens) if window else expected
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(out.square().sum(), x)[0] for out in (ours(x), expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_no_scores_are_held():
    attention, x = SliceAttention(24, 3, table=16, window=0), torch.randn(2, 32, 32, 24)
    scores = 4 * 2 * 3 * 1024**2
    peaks = []
    for forward in (attention.forward, lambda tokens: Attention.forward(attention, tokens)):
        with LiveMemory() as live:
            forward(x)
        peaks.append(live.peak)
    assert peaks[0] < 0.5 * scores < 2 * scores < peaks[1]
