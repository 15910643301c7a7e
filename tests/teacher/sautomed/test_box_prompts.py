"""Prompts made of the boxes of organs."""

from __future__ import annotations

import torch
from bedside.teacher.sam.boxes import Boxes, PlaceEncoding
from bedside.teacher.sautomed.box_prompts import BoxPromptGenerator
from segment_anything.modeling.prompt_encoder import PromptEncoder

WIDTH = 16


def test_organs_without_a_box_have_their_default_query():
    torch.manual_seed(0)
    generator, places = BoxPromptGenerator(2, WIDTH), PlaceEncoding(WIDTH // 2)
    boxes = Boxes(torch.tensor([[[0.1, 0.2, 0.3, 0.4], [0.0] * 4]]), torch.tensor([[True, False]]))
    anchors = generator.anchors(boxes, 1, places)
    assert torch.equal(anchors[0, 1], generator.default[1])
    assert not torch.allclose(anchors[0, 0], generator.default[0])
    assert torch.equal(generator.anchors(None, 3, places), generator.default.expand(3, 2, WIDTH))


def test_corners_are_encoded_as_sam_encodes_a_box():
    torch.manual_seed(0)
    sam = PromptEncoder(WIDTH, (4, 8), (64, 128), 16)
    places = PlaceEncoding(WIDTH // 2)
    places.load_state_dict(sam.pe_layer.state_dict())
    for embedding in sam.point_embeddings:
        torch.nn.init.zeros_(embedding.weight)
    pixels = torch.tensor([[16.0, 8.0, 96.0, 40.0]])
    sparse, _ = sam(None, pixels - 0.5, None)  # SAM moves corners to the middle of their pixels; ours are edges
    generator = BoxPromptGenerator(1, WIDTH)
    corners = (pixels / torch.tensor([128.0, 64.0, 128.0, 64.0]))[:, None]
    anchors = generator.anchors(Boxes(corners, torch.ones(1, 1, dtype=torch.bool)), 1, places)
    torch.testing.assert_close(anchors[0], generator.anchor(sparse.reshape(1, -1)))


def test_each_prompt_is_made_by_two_layers_of_self_attention_cross_attention_and_mlp():
    torch.manual_seed(0)
    generator, image, pe = BoxPromptGenerator(3, WIDTH), torch.randn(2, WIDTH, 4, 5), torch.randn(1, WIDTH, 4, 5)
    anchors = generator.anchors(None, 2, PlaceEncoding(WIDTH // 2))
    keys, places = image.flatten(2).transpose(1, 2), pe.flatten(2).transpose(1, 2)
    start = anchors + generator.semantic
    x = start
    for layer in generator.layers:
        x = layer.norm1(x + layer.self_attn(x + start, x + start, x))
        x = layer.norm2(x + layer.cross_attn_token_to_image(x + start, keys + places, keys))
        x = layer.norm3(x + layer.mlp.lin2(torch.relu(layer.mlp.lin1(x))))
    assert len(generator.layers) == 2
    torch.testing.assert_close(generator(image, pe, anchors), x)


def test_queries_of_two_organs_in_the_same_box_differ_by_their_semantic_embedding():
    torch.manual_seed(0)
    generator, places = BoxPromptGenerator(2, WIDTH), PlaceEncoding(WIDTH // 2)
    boxes = Boxes(torch.tensor([[[0.1, 0.2, 0.3, 0.4]] * 2]), torch.ones(1, 2, dtype=torch.bool))
    anchors = generator.anchors(boxes, 1, places)
    image, pe = torch.randn(1, WIDTH, 4, 4), torch.randn(1, WIDTH, 4, 4)
    prompts = generator(image, pe, anchors)[0]
    assert torch.equal(anchors[0, 0], anchors[0, 1])
    assert (prompts[0] - prompts[1]).abs().max() > 0.1
    torch.nn.init.zeros_(generator.semantic)
    prompts = generator(image, pe, anchors)[0]
    torch.testing.assert_close(prompts[0], prompts[1])
