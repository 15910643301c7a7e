"""The mask decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bedside.teacher.decoder import MaskDecoder

torch.set_num_threads(1)


def test_logits_have_the_resolution_of_the_image():
    decoder = MaskDecoder(4, 6, maps=4, num_classes=5)
    logits = decoder([torch.randn(2, 4, 4, 5, 6) for _ in range(4)], torch.randn(2, 1, 16, 20, 24))
    assert logits.shape == (2, 5, 16, 20, 24)


def test_fusion_sees_the_maps_doubled_and_the_image_halved():
    torch.manual_seed(0)
    decoder = MaskDecoder(4, 6, maps=2, num_classes=3)
    seen = []
    decoder.fuse[0].register_forward_hook(lambda *call: seen.append(call[-1]))
    maps, image = [torch.randn(1, 4, 4, 4, 4) for _ in range(2)], torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        decoder(maps, image)
        heads = torch.cat([head(features) for head, features in zip(decoder.heads, maps, strict=True)], dim=1)
    doubled = F.interpolate(heads, scale_factor=2, mode="trilinear", align_corners=False)
    half = F.interpolate(image, scale_factor=0.5, mode="trilinear", align_corners=False)
    expected = F.conv3d(torch.cat([doubled, half], dim=1), decoder.fuse[0].weight, padding=1)
    assert expected.shape == (1, 6, 8, 8, 8)
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=0)
