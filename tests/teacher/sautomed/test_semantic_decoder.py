"""SAM's mask decoder for classes, and the history tokens."""

from __future__ import annotations

import torch
from bedside.teacher.sautomed.semantic_decoder import HISTORY_TOKENS, HistoryFilter, SemanticDecoder
from segment_anything.modeling.mask_decoder import MaskDecoder
from segment_anything.modeling.transformer import TwoWayTransformer

WIDTH = 32


def decoder(classes: int = 4) -> SemanticDecoder:
    torch.manual_seed(0)
    return SemanticDecoder(classes, WIDTH)


def test_each_slice_has_the_masks_that_sams_decoder_gives_with_the_same_tokens():
    ours = decoder()
    sams = MaskDecoder(
        transformer_dim=WIDTH, transformer=TwoWayTransformer(2, WIDTH, 8, 8 * WIDTH), num_multimask_outputs=3
    )
    assert sams.load_state_dict(ours.state_dict(), strict=False).unexpected_keys == []
    image, pe = torch.randn(3, WIDTH, 4, 5), torch.randn(1, WIDTH, 4, 5)
    history, prompts = torch.randn(3, 8, WIDTH), torch.randn(3, 3, WIDTH)
    logits, _ = ours(image, pe, history, prompts)
    assert logits.shape == (3, 4, 16, 20)
    for n in range(3):
        tokens = torch.cat([history[n : n + 1], prompts[n : n + 1]], dim=1)
        masks, _ = sams.predict_masks(image[n : n + 1], pe, tokens, torch.zeros(1))
        torch.testing.assert_close(logits[n : n + 1], masks)


def test_history_is_read_back_at_its_own_places():
    model = decoder()
    image, pe = torch.randn(2, WIDTH, 4, 4), torch.randn(1, WIDTH, 4, 4)
    history, prompts = torch.randn(2, 8, WIDTH), torch.randn(2, 3, WIDTH)
    own = torch.cat([model.iou_token.weight, model.mask_tokens.weight]).expand(2, -1, -1)
    tokens, _ = model.transformer(image, pe.expand_as(image), torch.cat([own, history, prompts], dim=1))
    torch.testing.assert_close(model(image, pe, history, prompts)[1], tokens[:, 5:13])


def test_history_and_prompts_may_be_left_out():
    model, none = decoder(), torch.zeros(2, 0, WIDTH)
    logits, history = model(torch.randn(2, WIDTH, 4, 4), torch.randn(1, WIDTH, 4, 4), none, none)
    assert logits.isfinite().all()
    assert history.shape == (2, 0, WIDTH)


def test_the_filter_is_a_norm_over_tokens_plus_mlp():
    torch.manual_seed(0)
    keep, tokens = HistoryFilter(WIDTH), torch.randn(2, HISTORY_TOKENS, WIDTH)
    for n in range(2):
        for k in range(HISTORY_TOKENS):
            token = tokens[n, k]
            change = keep.mlp.lin2.weight @ torch.relu(keep.mlp.lin1.weight @ token + keep.mlp.lin1.bias)
            mixed = token + change + keep.mlp.lin2.bias
            expected = (mixed - mixed.mean()) / (mixed.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(keep(tokens)[n, k], expected, atol=1e-5, rtol=1e-5)


def test_eight_tokens_start_as_learned():
    keep = HistoryFilter(256)
    assert keep.start.shape == (8, 256)
    assert torch.equal(keep.first(3)[2], keep.start)
