"""The logic of the scripts in benchmarks/quantization; the comparison itself is repeated by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bedside.export.gate.dice import PackedLabels, VariantScores
from bedside.export.patches import LabelledPatch
from bedside.runtime import open_engine

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "quantization"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("methods", "quantization"))


def scores(*labels: list[int]) -> VariantScores:
    packed = tuple(PackedLabels.of(np.array(each, np.uint8)) for each in labels)
    count = len(labels)
    return VariantScores(
        ("background", "organ"), np.ones((count, 2)), packed, (1,) * count, (1.0,) * count, np.ones((count, 2))
    )


def test_labels_are_compared_where_either_is_an_organ(script):
    exact, own = scores([0, 0, 0, 1, 1]), scores([0, 0, 1, 1, 0])
    assert script("quantization").label_agreement(own, exact) == pytest.approx(1 / 3)
    assert script("quantization").label_agreement(exact, exact) == 1


def test_cases_count_equally_and_one_without_organs_agrees(script):
    exact, own = scores([0, 0], [1, 1]), scores([0, 0], [1, 0])
    assert script("quantization").label_agreement(own, exact) == 0.75


def test_fp32_comes_first_and_every_title_once(script):
    methods = script("methods").METHODS
    assert methods[0].title == "fp32"
    assert len({method.title for method in methods}) == len(methods)


def test_accuracy_control_is_scored_by_the_mean_dice_of_organs(script):
    """Two voxels of the organ, of which one is found: 2·1 / (1 + 2)."""
    truth = np.array([[[0, 1, 1]]])
    logits = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).reshape(1, 2, 1, 1, 3)
    patch = LabelledPatch(np.zeros((1, 1, 1, 1, 3), np.float32), truth)
    assert script("methods")._mean_dice(lambda _: [logits], [patch, patch], None) == pytest.approx(2 / 3)


def test_onnx_runtimes_method_writes_a_model_that_the_engine_runs(script, bundle_path):
    patch = np.random.default_rng(0).random((1, 1, 8, 12, 16), np.float32)
    data = script("methods").Data(calibration=[patch], validation=[], ignore=None)
    (bundle_path / "model.int8.onnx").unlink()
    script("methods").onnx_runtime_static(bundle_path, data)
    with open_engine("onnxruntime", bundle_path / "model.int8.onnx", threads=1, precision="int8") as engine:
        assert engine.infer(patch).shape == (1, 3, 8, 12, 16)
