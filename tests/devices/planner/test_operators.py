"""The groups of operators: real operators, each in one group that decides its cost."""

from __future__ import annotations

from itertools import combinations

import onnx
from bedside.devices.planner.operators import ACTIVATIONS, FREE, HEAVY, IN_PLACE, MOVES, QUANTIZERS, SUMS, VIEWS

GROUPS = (set(HEAVY), FREE, MOVES, SUMS, ACTIVATIONS)


def test_every_name_is_an_operator_of_onnx():
    assert [name for group in GROUPS for name in sorted(group) if not onnx.defs.has(name)] == []


def test_no_operator_is_in_two_groups():
    assert [one & other for one, other in combinations(GROUPS, 2) if one & other] == []


def test_views_and_quantizers_are_free_and_what_is_in_place_computes():
    assert VIEWS | QUANTIZERS < FREE
    assert IN_PLACE < ACTIVATIONS
