"""The manifest reads what older versions wrote, and nothing it does not know."""

from __future__ import annotations

import json

import pytest
from bedside.runtime.bundles.manifest import Variant, decode_manifest
from bedside.runtime.errors import BundleError


@pytest.fixture
def fields(toy, task) -> dict:
    """`bundle.json` of one variant, as JSON."""
    variant = Variant(
        precision="int8-bf16", engine="openvino", file="model.xml", passed=False, gate_reason="liver lost"
    )
    return json.loads(toy.manifest(task, (variant,)).encoded())


def test_the_gates_verdict_is_written_and_read(fields):
    variant = decode_manifest(json.dumps(fields).encode()).variants[0]
    assert (variant.precision, variant.passed, variant.gate_reason) == ("int8-bf16", False, "liver lost")


def test_a_bundle_from_before_the_verdict_has_none(fields):
    for name in ("passed", "gate_reason"):
        del fields["variants"][0][name]
    variant = decode_manifest(json.dumps(fields).encode()).variants[0]
    assert (variant.passed, variant.gate_reason) == (None, "")


def test_an_unknown_precision_is_refused(fields):
    fields["variants"][0]["precision"] = "int4"
    with pytest.raises(BundleError, match="int4"):
        decode_manifest(json.dumps(fields).encode())
