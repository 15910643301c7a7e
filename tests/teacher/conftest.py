"""A SAM that several families' tests load."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from bedside.teacher.sam.sizes import find_sam_size
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer


@pytest.fixture(scope="session")
def nano_sam() -> dict[str, torch.Tensor]:
    """State of a SAM of the size vit_nano, image encoder and all, with random weights, its zeros too."""
    torch.manual_seed(0)
    size = find_sam_size("vit_nano")
    encoder = ImageEncoderViT(
        depth=size.depth,
        embed_dim=size.width,
        num_heads=size.heads,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=64,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=size.global_blocks,
    )
    parts = {
        "image_encoder": encoder,
        "prompt_encoder": PromptEncoder(64, (64, 64), (1024, 1024), 16),
        "mask_decoder": MaskDecoder(
            transformer_dim=64, transformer=TwoWayTransformer(2, 64, 8, 512), iou_head_hidden_dim=64
        ),
    }
    state = {f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()}
    return {name: torch.rand_like(tensor) for name, tensor in state.items()}
