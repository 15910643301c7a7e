"""A network of a family and one step of it, the same in the tests' process and in those that they start."""

import torch
from bedside.teacher.config import TeacherConfig
from bedside.training.loop.objective import all_logits
from torch import Tensor, nn

CLASSES = 3


def network(config: TeacherConfig, seed: int = 0) -> nn.Module:
    """A network for the smallest patch."""
    torch.manual_seed(seed)
    return config.build(CLASSES, config.patch_rule.smallest)


def halves(config: TeacherConfig) -> tuple[Tensor, Tensor]:
    """Two batches of one patch."""
    images = torch.rand(2, 1, *config.patch_rule.smallest, generator=torch.Generator().manual_seed(1))
    return images[:1], images[1:]


def loss_of(model: nn.Module, images: Tensor) -> Tensor:
    """A loss that every logit takes part in."""
    return sum(logits.square().mean() for logits in all_logits(model(images)))
