"""Boxes of organs and the prompts made of them."""

from __future__ import annotations

import numpy as np
import torch
from bedside.teacher.sautomed.box_prompts import Boxes, BoxPromptGenerator, PlaceEncoding
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom, PromptEncoder

WIDTH = 16


def logits_of(labels: np.ndarray, classes: int) -> torch.Tensor:
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels), classes)
    return 5.0 * one_hot.movedim(-1, 1).float() + 0.1 * torch.rand(len(labels), classes, *labels.shape[1:])


def test_boxes_are_those_of_a_search_over_all_pixels():
    rng = np.random.default_rng(0)
    labels = rng.choice(5, size=(6, 9, 7), p=[0.9, 0.06, 0.02, 0.02, 0.0])
    boxes = Boxes.of(logits_of(labels, 5))
    absent = 0
    for n in range(6):
        for organ in range(1, 5):
            rows, columns = np.nonzero(labels[n] == organ)
            assert boxes.present[n, organ - 1].item() == bool(len(rows))
            box = [0.0] * 4
            if len(rows):
                box = [columns.min() / 7, rows.min() / 9, (columns.max() + 1) / 7, (rows.max() + 1) / 9]
            absent += not len(rows)
            np.testing.assert_allclose(boxes.corners[n, organ - 1], box, rtol=1e-6)
    assert 6 < absent < 24  # class 4 everywhere, others somewhere


def test_a_box_by_hand():
    labels = np.zeros((1, 4, 8), dtype=np.int64)
    labels[0, 1:3, 2:6] = 1
    assert Boxes.of(logits_of(labels, 2)).corners.tolist() == [[[0.25, 0.25, 0.75, 0.75]]]


def test_boxes_carry_no_gradient():
    logits = logits_of(np.ones((1, 4, 4), dtype=np.int64), 3).requires_grad_()
    assert not Boxes.of(logits).corners.requires_grad


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


def test_places_are_encoded_as_exactly_under_autocast_as_without():
    torch.manual_seed(0)
    places, sams = PlaceEncoding(WIDTH // 2), PositionEmbeddingRandom(WIDTH // 2)
    sams.load_state_dict(places.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(places((32, 32)), places((32, 32)).float())
        exact, rounded = places((32, 32)), sams((32, 32)).float()
    assert torch.equal(exact, sams((32, 32)))
    assert (rounded - exact).abs().max() > 0.01


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
