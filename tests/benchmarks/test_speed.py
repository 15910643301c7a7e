"""The logic of the scripts in benchmarks/speed; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Grid, Volume, read_volume
from bedside.runtime.task_presets import PRESETS

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"
NAMES = ("background", "liver", "spleen", "aorta")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


def row(script, method, seconds, **outcome):
    given = script("job").Outcome(**{"seconds": seconds, "peak_bytes": 500_000_000, "windows": 9} | outcome)
    return script("comparison").Row(method, method, given)


def test_labels_are_compared_inside_the_body_alone(script):
    reference = np.array([1, 1, 2, 0])
    labels = np.array([1, 2, 2, 3])
    body = np.array([True, True, True, False])
    agreement = script("label_agreement").Agreement.of(labels, reference, body, NAMES)
    assert agreement.same == pytest.approx(2 / 3)
    # liver: 2·1 / (2 + 1) voxels; spleen: 2·1 / (1 + 2); the aorta lies outside the body.
    assert (agreement.worst, agreement.dice, agreement.voxels) == ("liver", pytest.approx(2 / 3), 2)


def test_a_lost_organ_is_the_worst_class(script):
    reference = np.array([1] * 1000 + [2])
    labels = np.array([1] * 1000 + [0])
    agreement = script("label_agreement").Agreement.of(labels, reference, np.ones(1001, bool), NAMES)
    assert (agreement.worst, agreement.dice, agreement.voxels) == ("spleen", 0, 1)


def test_maps_without_classes_agree(script):
    empty = np.zeros(3, int)
    assert str(script("label_agreement").Agreement.of(empty, empty, np.ones(3, bool), NAMES)) == "100.000 % | –"


def test_each_pass_is_held_against_the_network_before_and_after_it(script):
    assert script("run_bedside").beside_network([10.0, 20.0], [9.0, 8.0, 20.0]) == pytest.approx([0.15, 0.3])


def test_ratios_are_taken_to_the_fastest_pass_of_monai_at_start_or_end(script):
    rows = [
        row(script, method, seconds) for method, seconds in [("monai", [12, 10]), ("auto", [2, 2.5]), ("monai", [8, 9])]
    ]
    text = script("speed_table").table(rows)
    assert "| auto | 2.00 (2.50) | 4.0 | 500 | 9 | – | – |" in text
    assert "MONAI took 10.00 s at the start and 8.00 s at the end." in text


def test_the_share_beside_the_network_is_the_median_of_the_passes(script):
    rows = [row(script, "monai", [8]), row(script, "auto", [2] * 3, beside=[0.3, 0.1, 0.05], stages={"read": 7.0})]
    assert "| auto | 10.0 % | 7 |" in script("speed_table").table(rows)


def test_monai_runs_first_and_last_whatever_was_asked_for(script):
    chosen = script("speed").chosen
    assert chosen(["variants", "auto"], ["openvino-fp32"], False) == ["monai", "openvino-fp32", "auto", "monai"]
    assert chosen([], ["openvino-fp32"], False) == ["monai", "monai"]


def test_without_an_interpreter_that_has_it_nnunet_is_left_out(script):
    chosen = script("speed").chosen
    assert "nnunet" not in chosen(None, [], False)
    assert "nnunet" in chosen(None, [], True)


def test_an_unknown_method_is_named(script):
    with pytest.raises(SystemExit, match="got openvino-fp64"):
        script("speed").chosen(["openvino-fp64"], ["openvino-fp32"], False)


def test_one_number_replaces_all_three(script):
    task = script("speed").changed(PRESETS["btcv"], [1.5], [96, 64, 32])
    assert (task.spacing, task.patch) == ((1.5, 1.5, 1.5), (96, 64, 32))


def test_the_piece_is_the_middle_of_the_scan_where_it_was(script, tmp_path):
    data = np.arange(6 * 4 * 10, dtype=np.int16).reshape(6, 4, 10)
    scan = Volume(data, Grid(data.shape, np.diag([2.0, 2.0, 2.0, 1.0])))
    task = PRESETS["btcv"].replaced(spacing=(1.0, 1.0, 1.0), patch=(8, 8, 4))  # 8 mm: four voxels
    piece = read_volume(script("speed").write_piece(scan, task, tmp_path / "piece.nii.gz"))
    np.testing.assert_array_equal(piece.data, data[1:5, :, 3:7])
    np.testing.assert_allclose(piece.grid.affine[:3, 3], [2, 0, 6])


def test_nnunets_stages_halve_an_axis_down_to_four_voxels(script):
    assert script("run_nnunet").strides([32, 64, 24]) == [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 1], [1, 2, 1]]
