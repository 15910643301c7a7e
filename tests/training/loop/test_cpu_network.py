import torch
from bedside.training.loop.cpu_network import adapt_to_cpu
from torch import nn


def test_a_network_trains_channels_last_and_its_small_convolutions_in_float32():
    model = nn.Conv3d(2, 4, 3, padding=1)
    adapt_to_cpu(model)
    assert model.weight.is_contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(1, 2, 2, 4, 4)).dtype == torch.float32
