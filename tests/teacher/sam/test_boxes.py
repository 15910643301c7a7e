"""Boxes around masks, and SAM's encoding of places."""

from __future__ import annotations

import numpy as np
import torch
from bedside.teacher.sam.boxes import Boxes, PlaceEncoding, class_masks
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom

WIDTH = 16


def logits_of(labels: np.ndarray, classes: int) -> torch.Tensor:
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels), classes)
    return 5.0 * one_hot.movedim(-1, 1).float() + 0.1 * torch.rand(len(labels), classes, *labels.shape[1:])


def test_boxes_are_those_of_a_search_over_all_pixels():
    rng = np.random.default_rng(0)
    labels = rng.choice(5, size=(6, 9, 7), p=[0.9, 0.06, 0.02, 0.02, 0.0])
    boxes = Boxes.around(class_masks(logits_of(labels, 5), first=1))
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
    boxes = Boxes.around(class_masks(logits_of(labels, 2), first=1))
    assert boxes.corners.tolist() == [[[0.25, 0.25, 0.75, 0.75]]]


def test_boxes_carry_no_gradient():
    logits = logits_of(np.ones((1, 4, 4), dtype=np.int64), 3).requires_grad_()
    assert not Boxes.around(class_masks(logits)).corners.requires_grad


def test_places_are_encoded_as_exactly_under_autocast_as_without():
    torch.manual_seed(0)
    places, sams = PlaceEncoding(WIDTH // 2), PositionEmbeddingRandom(WIDTH // 2)
    sams.load_state_dict(places.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(places((32, 32)), places((32, 32)).float())
        exact, rounded = places((32, 32)), sams((32, 32)).float()
    assert torch.equal(exact, sams((32, 32)))
    assert (rounded - exact).abs().max() > 0.01
