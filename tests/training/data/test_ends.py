"""Labels that differ by the end of an axis are found, and no others."""

import pytest
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.ends import find_ends


@pytest.mark.parametrize(
    ("labels", "axis", "pair"),
    [
        (("anterior", "posterior"), "AP", ("anterior", "posterior")),
        (("Hippocampus-Posterior", "AnteriorHippocampus"), "AP", ("AnteriorHippocampus", "Hippocampus-Posterior")),
        (("horn_ventral", "horn_dorsal"), "AP", ("horn_ventral", "horn_dorsal")),
        (("lung_upper_lobe_left", "lung_lower_lobe_left"), "SI", ("lung_upper_lobe_left", "lung_lower_lobe_left")),
        (("superior", "inferior"), "SI", ("superior", "inferior")),
        (("cranial part", "caudal part"), "SI", ("cranial part", "caudal part")),
        (("oberer Lappen", "unterer Lappen"), "SI", ("oberer Lappen", "unterer Lappen")),
    ],
)
def test_the_two_ends_of_an_axis_are_a_pair_along_it_alone(labels, axis, pair):
    found = {each: find_ends(("background", *labels), each) for each in ("AP", "SI")}
    assert found == {"AP": (), "SI": (), axis: (pair,)}


@pytest.mark.parametrize(
    "labels",
    [("anterior",), ("upper lobe", "lower jaw"), ("upper lobe left", "lower lobe right"), ("anterior", "inferior")],
)
def test_an_end_without_its_counterpart_is_no_pair(labels):
    assert find_ends(labels, "AP") == find_ends(labels, "SI") == ()


def test_no_preset_has_such_a_pair():
    assert not any(find_ends(task.labels, axis) for task in PRESETS.values() for axis in ("AP", "SI"))
