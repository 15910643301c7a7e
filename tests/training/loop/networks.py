"""Networks that train in no time and still have what makes processes differ: frozen weights, norms, two layers."""

import torch
from bedside.training.loop.objective import DeepLogits, DeeplySupervised


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


class DeepNetwork(DeeplySupervised):
    """Auxiliary logits at two resolutions; the last layer has no part in them."""

    def __init__(self, normalised=False):
        super().__init__()
        torch.manual_seed(0)
        self.shared = torch.nn.Conv3d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm3d(4) if normalised else torch.nn.Identity()
        self.auxiliary = torch.nn.Conv3d(4, 2, 1)
        self.last = torch.nn.Conv3d(4, 2, 1)

    def forward(self, image):
        hidden = self.norm(self.shared(image)).relu()
        if not (self.training and torch.is_grad_enabled()):
            return self.last(hidden)
        halved = torch.nn.functional.avg_pool3d(hidden, 2)
        logits = None if self.auxiliary_alone else self.last(hidden)
        return DeepLogits(logits, (self.auxiliary(hidden), self.auxiliary(halved)))
