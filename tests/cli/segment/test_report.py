"""The text and the JSON of one result."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bedside.cli.segment.report import as_json, summary, volumes_table
from bedside.runtime import Grid, Result
from bedside.runtime.engine_selection.engine_choice import EngineChoice
from bedside.runtime.engine_selection.trials import Setting
from bedside.runtime.labels.postprocess import Removal

GRID = Grid((4, 3, 2), np.diag([2.0, 2.0, 2.5, 1.0]))


def result(*postprocessing, warnings=()):
    labels, timings = np.zeros(GRID.shape, np.uint8), {"read": 250.0, "infer": 1250.0}
    return Result(labels, GRID, {"fat": 1.25, "bone": 0.0}, timings, warnings, "openvino", "int8", 3, 1, postprocessing)


def applied(step, components, voxels):
    return Removal(step=step, label="fat", components=components, voxels=voxels, ml=voxels * 0.01)


def test_the_summary_adds_up_the_stages():
    assert summary(result()) == "3 windows run, 1 of air skipped; openvino int8; 1.50 s (read 0.25, infer 1.25)"


def test_a_device_beside_the_cpu_is_named():
    assert "; openvino int8 on GPU; " in summary(replace(result(), device="GPU"))
    assert "; openvino int8; " in summary(replace(result(), device="CPU"))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (applied("min_volume", 1, 8), "0.08 ml of fat in 1 component (min volume)"),
        (applied("largest_component", 3, 8), "0.08 ml of fat in 3 components (largest component)"),
        (applied("within_body", None, 8), "0.08 ml of fat (within body)"),
    ],
)
def test_what_post_processing_removed_has_a_line(entry, text):
    nothing = applied("min_volume", 0, 0)
    assert summary(result(nothing, entry)).splitlines()[1] == f"post-processing removed {text}"


def test_every_label_has_its_volume_absent_ones_too():
    table = volumes_table(result())
    assert [list(column.cells) for column in table.columns] == [["fat", "bone"], ["1.2", "0.0"]]


def test_json_holds_figures_shape_and_the_choice():
    choice = EngineChoice(setting=Setting("openvino", "int8", 2), threads=4, reason="measured")
    content = json.loads(json.dumps(as_json(replace(result(warnings=("look",)), device="CPU"), choice)))
    assert content["choice"]["setting"] == {"engine": "openvino", "precision": "int8", "streams": 2, "device": "CPU"}
    assert (content["needs_review"], content["warnings"], content["shape"]) == (True, ["look"], [4, 3, 2])
    assert (content["volumes_ml"], content["windows_skipped"]) == ({"fat": 1.25, "bone": 0.0}, 1)
    assert (content["windows_without_organ"], content["device"]) == (0, "CPU")


def test_windows_without_organ_are_counted_where_a_locator_left_some_out():
    assert "without organ" not in summary(result())
    assert ", 7 without organ; " in summary(replace(result(), windows_without_organ=7))
