"""What every network around SAM says of itself and refuses, shown on the smallest of each family."""

import logging

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher import build_teacher

FAMILIES = ("autosam", "3d-sautomed", "self-prompt-sam")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(1, 32, 32, 32), (1, 2, 32, 32, 32), (1, 1, 32, 32, 64)])
def test_anything_but_a_batch_of_its_patches_is_refused(family, shape):
    model = build_teacher(family, num_classes=2, sam="vit_nano", patch=32)
    with pytest.raises(UsageError, match=r"teacher input: expected \[B, 1, 32×32×32\], got .*; cut into patches"):
        model(torch.zeros(shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_logs_what_trains_and_what_is_frozen(family, caplog):
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        model = build_teacher(family, num_classes=2, sam="vit_nano", patch=32, train_encoder=False)
    sizes = {True: 0, False: 0}
    for parameter in model.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    told = f"{sum(sizes.values()):,} parameters, {sizes[True]:,} train, {sizes[False]:,} frozen"
    assert f"{model.config.title}: {told}" in caplog.messages  # the SAM alone does not tell teachers apart
