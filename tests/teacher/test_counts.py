"""Every count that is known of the authors' modules and of SAM, in one table; nothing here takes memory."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from bedside.teacher import build_teacher
from bedside.teacher.autosam.designs import DESIGNS
from bedside.teacher.autosam.weights import neck_names, reused_names
from bedside.teacher.parameters import count_parameters
from bedside.teacher.sam.sizes import find_sam_size
from segment_anything.modeling import ImageEncoderViT

WITH_14_CLASSES = {
    "total": 115_441_536,
    "trainable": 26_594_944,
    "encoder": 15_209_984,
    "adapters": 7_220_736,
    "necks": 7_868_416,
    "block norms": 36_864,
    "relative depth tables": 46_336,
    "depth table": 24_576,
    "depth convolution": 13_056,
    "prompt generator": 4_255_232,
    "mask decoder": 7_129_728,
}
WITH_16_CLASSES = {**WITH_14_CLASSES, "total": 115_448_448, "trainable": 26_601_856, "mask decoder": 7_136_640}

SIZES = {  # millions of the 3D encoder: total, trainable; SAM's image-encoder tensors, those reused, their elements
    "vit_b": (104.06, 15.21, 177, 171, 88_883_456),
    "vit_l": (341.22, 33.89, 345, 339, 307_425_280),
    "vit_h": (697.73, 61.78, 457, 451, 636_107_520),
    "vit_small": (6.81, 2.24, 121, 115, 4_571_840),
    "vit_nano": (1.47, 0.53, 65, 59, 943_968),
}
PUBLIC = ("vit_b", "vit_l", "vit_h")


@cache
def on_meta(preset: str = "paper", num_classes: int = 14, sam: str = "vit_b"):
    with torch.device("meta"):
        return build_teacher("autosam", num_classes=num_classes, sam=sam, preset=preset, train_encoder=False)


@cache
def counted(preset: str, num_classes: int) -> dict[str, int]:
    model = on_meta(preset, num_classes)
    counts = count_parameters(model, model.config.component)
    encoder = sum(p.numel() for p in model.encoder.parameters() if p.requires_grad)
    return {"total": counts.total, "trainable": counts.trainable, "encoder": encoder, **counts.components}


@pytest.mark.parametrize("preset", list(DESIGNS))
@pytest.mark.parametrize(("num_classes", "expected"), [(14, WITH_14_CLASSES), (16, WITH_16_CLASSES)])
def test_counts_of_vit_b(preset, num_classes, expected):
    assert counted(preset, num_classes) == expected


@pytest.mark.parametrize("preset", list(DESIGNS))
def test_convolutions_adapters_and_norms_with_16_classes_are_the_papers_26_53_million(preset):
    counts = counted(preset, 16)
    assert counts["trainable"] - counts["relative depth tables"] - counts["depth table"] == 26_530_944


@pytest.mark.parametrize(
    ("apg", "mlam", "total", "trainable"),
    [
        (False, True, 111_186_304, 22_339_712),
        (True, False, 104_231_808, 15_385_216),
        (False, False, 99_976_576, 11_129_984),
    ],
)
def test_counts_of_the_ablations(apg, mlam, total, trainable):
    with torch.device("meta"):
        model = build_teacher("autosam", num_classes=14, apg=apg, mlam=mlam)
    counts = count_parameters(model, model.config.component)
    assert (counts.total, counts.trainable) == (total, trainable)
    assert counts.components.get("prompt generator", 0) == (4_255_232 if apg else 0)
    # Without aggregation: one neck of four, one head of four, 128 channels and the image's one in the fusion.
    assert counts.components["necks"] == (7_868_416 if mlam else 7_868_416 // 4)
    one_head = 27 * (256 * 128 + 128 * 128)
    assert counts.components["mask decoder"] == (7_129_728 if mlam else one_head + 27 * (129 * 128 + 128 * 14))


@pytest.mark.parametrize(("sam", "figures"), SIZES.items())
def test_counts_of_the_encoder_and_of_what_it_takes_from_sam(sam, figures):
    encoder = on_meta(sam=sam).encoder
    parameters = dict(encoder.named_parameters())
    total = sum(p.numel() for p in parameters.values()) / 1e6
    trainable = sum(p.numel() for p in parameters.values() if p.requires_grad) / 1e6
    names = reused_names(find_sam_size(sam))
    reused = sum(parameters[name].numel() for name in names)
    in_sam = len(names) + len(neck_names())
    assert (round(total, 2), round(trainable, 2), in_sam, len(set(names)), reused) == figures


@pytest.mark.parametrize("sam", PUBLIC)
def test_names_and_shapes_are_those_of_sams_own_image_encoder(sam):
    variant = find_sam_size(sam)
    with torch.device("meta"):
        sams = ImageEncoderViT(
            depth=variant.depth,
            embed_dim=variant.width,
            num_heads=variant.heads,
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=variant.global_blocks,
        ).state_dict()
    ours = on_meta(sam=sam).encoder.state_dict()
    assert sams.keys() == {*reused_names(variant), *neck_names()}
    for name in reused_names(variant):
        assert ours[name].shape == sams[name].shape, name


def test_masks_and_constants_are_not_in_the_state():
    model = on_meta()
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()
