"""A bundle that the last release of schema version 1 wrote: `fixtures/schema_1.bedside.zip`, the toy student's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Bundle, Grid, Segmenter, Volume, write_manifest
from bedside.runtime.bundles.bundle_zip import extract
from bedside.runtime.bundles.manifest import SCHEMA_VERSION

WRITTEN = Path(__file__).parent / "fixtures" / "schema_1.bedside.zip"


@pytest.fixture
def bundle():
    with Bundle.open(WRITTEN) as opened:
        yield opened


def test_its_facts_are_read_and_it_has_none_of_the_newer_figures(bundle):
    manifest = bundle.manifest
    assert manifest.schema_version == 1
    assert (manifest.recommended_overlap, manifest.overlap_curve) == (0.5, ())
    assert (manifest.timed_on, manifest.left_out, manifest.gate_cases) == (None, (), 0)
    assert [(each.precision, each.passed) for each in manifest.variants[::2]] == [("fp32", True), ("int8", True)]
    for variant in manifest.variants:
        assert variant.dice == {"fat": 1.0, "bone": 1.0}
        assert (variant.dice_drop, variant.organ_drops, variant.borders, variant.ms_per_window) == (None, {}, {}, None)


@pytest.mark.parametrize(("engine", "precision"), [("auto", "auto"), ("onnxruntime", "int8"), ("openvino", "int8")])
def test_it_segments_as_it_did(engine, precision):
    """A block of fat with a core of bone in air."""
    labels = np.zeros((20, 16, 12), np.uint8)
    labels[4:16, 4:12, 3:9] = 1
    labels[8:12, 6:10, 5:7] = 2
    scan = Volume(np.choose(labels, (-1000, -100, 800)).astype(np.int16), Grid(labels.shape, np.diag([3, 3, 3, 1])))
    with Segmenter.load(WRITTEN, engine, precision, threads=1) as segmenter:
        result = segmenter.segment(scan)
    assert np.array_equal(result.labels, labels)
    assert result.windows == 8  # of 16 × 12 × 8 voxels with the overlap 0.5 that it recommends


def test_written_again_it_has_the_present_version(tmp_path):
    extract(WRITTEN, tmp_path, 10**6)
    with Bundle.open(tmp_path) as bundle:
        write_manifest(tmp_path, bundle.manifest)
    with Bundle.open(tmp_path) as bundle:
        assert bundle.manifest.schema_version == SCHEMA_VERSION == 8
