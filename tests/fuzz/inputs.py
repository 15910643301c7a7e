"""Inputs for the targets: any bytes, and valid inputs with a few changes, for which the parser goes further."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import strategies as st

EXTREMES = [
    struct.pack(form, value)
    for form, values in {
        "<b": (0, 1, -1, 127),
        "<h": (0, -1, 32_767, -32_768),
        "<i": (0, -1, 2**31 - 1, -(2**31)),
        "<q": (0, -1, 2**63 - 1, -(2**63), 2**32),
        "<f": (float("nan"), float("inf"), -1e30, 1e-40, 0.0),
    }.items()
    for value in values
]
Edit = tuple[str, float, bytes, int]
edits = st.tuples(
    st.sampled_from(["overwrite", "insert", "delete", "repeat", "flip"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.sampled_from(EXTREMES), st.binary(min_size=1, max_size=12)),
    st.integers(1, 64),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with one to four edits, at any byte."""
    return st.builds(_edited, st.sampled_from(seeds), st.lists(edits, min_size=1, max_size=4))


def mutated_json(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed that is JSON with one to three of its values replaced by others, of any type."""
    changes = st.lists(st.tuples(st.integers(0, 10_000), values), min_size=1, max_size=3)
    return st.builds(_with_values, st.sampled_from(seeds), changes)


def _edited(seed: bytes, changes: list[Edit]) -> bytes:
    content = bytearray(seed)
    for kind, where, piece, length in changes:
        place = int(where * (len(content) + 1))
        if kind == "overwrite":
            content[place : place + len(piece)] = piece
        elif kind == "insert":
            content[place:place] = piece
        elif kind == "delete":
            del content[place : place + length]
        elif kind == "repeat":
            content[place:place] = content[place : place + length]
        elif place < len(content):
            content[place] ^= 1 << length % 8
    return bytes(content)


def _with_values(seed: bytes, changes: list[tuple[int, Any]]) -> bytes:
    content = json.loads(seed)
    for number, value in changes:
        places = list(_places(content))
        if places:
            holder, key = places[number % len(places)]
            holder[key] = value
    return json.dumps(content).encode(errors="surrogatepass")


def _places(content: Any):
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(pairs):
        yield content, key
        yield from _places(value)
