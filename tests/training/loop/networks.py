"""A network that trains in no time and still has what makes processes differ: frozen weights, norms, two layers."""

import torch


def small_network():
    torch.manual_seed(0)
    layers = torch.nn.ModuleList(
        [torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.InstanceNorm3d(4, affine=True), torch.nn.Conv3d(4, 2, 1)]
    )
    layers[0].bias.requires_grad_(False)
    return _Chain(layers)


class _Chain(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, image):
        for layer in self.layers:
            image = layer(image)
        return image
