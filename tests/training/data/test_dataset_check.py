"""`check_dataset`: what is wrong with a data set as a whole is named, and every case is checked."""

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset_check import check_dataset

from .cubes import GRID, CubesFolder, findings, scan, truth, with_nan


def test_a_data_set_in_order_has_nothing_to_tell(cubes, cubes_task):
    found = cubes.add("second").check(cubes_task)
    assert (findings(found), found.problems, found.warnings, found.exit_code) == ({}, (), (), 0)


def test_the_same_scan_under_two_names_is_told_for_both(cubes, cubes_task):
    found = cubes.add("copy", image=scan(0), labels=truth(), to="validation").check(cubes_task)
    assert findings(found) == {
        "fine": (
            'its image is identical to that of "copy" (validation)',
            'its label map is identical to that of "copy" (validation)',
        ),
        "copy": (
            'its image is identical to that of "fine" (training)',
            'its label map is identical to that of "fine" (training)',
        ),
    }


def test_a_case_in_two_lists_is_checked_once_and_told(cubes, cubes_task):
    cubes.lists["validation"] = cubes.lists["training"][:1]
    found = cubes.check(cubes_task)
    assert [case.name for case in found.cases] == ["fine"]
    assert findings(found) == {"fine": ("is in the lists training and validation",)}


def test_a_test_case_needs_no_label_map(cubes, cubes_task):
    cubes.add("new", to="test")
    cubes.lists["test"] = ["new.nii.gz"]
    assert cubes.check(cubes_task).exit_code == 0


def test_labels_that_are_not_the_tasks_are_told_and_the_cases_are_checked(cubes, cubes_task):
    found = cubes.add("bad", labels=truth(9)).check(cubes_task.replaced(labels=("background", "sphere")))
    assert found.problems[0].startswith('label 1 is "cube" in data set "cubes" but "sphere" in task')
    assert "got 9" in findings(found)["bad"][0]
    assert found.exit_code == 3


def test_volumes_are_millilitres_of_the_label_map_itself(cubes, cubes_task):
    found = cubes.add("half", labels=truth() * (np.arange(16) < 8).astype(np.uint8)).check(cubes_task)
    (cube,) = found.labels  # 64 voxels of 4 × 4 × 5 mm are 5.12 ml, half of them 2.56
    assert (cube.name, cube.cases) == ("cube", 2)
    assert (cube.mean_ml, cube.smallest_ml, cube.largest_ml) == pytest.approx((3.84, 2.56, 5.12))


def test_a_label_that_never_occurs_is_told(tmp_path, cubes_task):
    found = CubesFolder(tmp_path / "data").add("healthy", labels=truth() * 0).check(cubes_task)
    assert found.warnings == (
        "in no readable case: cube",
        "no training case has a label: a network can learn nothing but background; check the label maps",
    )


def test_without_a_task_files_geometry_values_and_labels_are_checked(cubes):
    cubes.add("bad", labels=truth(9)).add("nan", image=with_nan(scan()))
    found = cubes.check(None)
    assert found.task is None
    assert set(findings(found)) == {"bad", "nan"}
    assert found.cases[0].facts.body is None
    assert found.cases[0].facts.values == (-1000, 200)


def test_workers_change_nothing_but_the_time(cubes, cubes_task):
    cubes.add("bad", labels=truth(9)).add("empty", labels=truth() * 0).add("fourth")
    seen = []
    assert cubes.check(cubes_task, workers=3, progress=lambda *at: seen.append(at)) == cubes.check(cubes_task)
    assert seen == [(done, 4) for done in range(5)]


def test_a_list_that_cannot_be_read_is_refused(tmp_path, cubes_task):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"data set dataset\.json"):
        check_dataset(tmp_path, cubes_task)


def test_a_label_that_the_training_cases_lack_is_told(cubes, cubes_task):
    cubes.add("held out", labels=truth(2), to="validation")
    found = cubes.check(
        cubes_task.replaced(labels=("background", "cube", "ball")), labels=("background", "cube", "ball")
    )
    assert found.warnings == (
        "in no training case: ball; a network cannot learn what it is not shown",
        "in no validation case: cube; the mean Dice leaves this out",
    )
    assert found.exit_code == 6


def test_labels_of_maps_that_cannot_be_used_are_not_said_to_be_missing(tmp_path, cubes_task):
    cubes = CubesFolder(tmp_path / "data").add("a", labels=truth(255)).add("b", labels=truth(255), to="validation")
    found = cubes.add("c", to="test").check(cubes_task)
    assert ["expected labels 0…1, got 255" in problems[0] for problems in findings(found).values()] == [True, True]
    assert (found.warnings, found.cases[0].facts.volumes_ml) == ((), None)


def test_label_maps_stored_along_other_axes_are_noted(cubes, cubes_task):
    lps = truth()[::-1, ::-1]
    found = cubes.add("lps", labels=lps, truth_grid=GRID.reoriented("LPS"), image=scan(5)).check(cubes_task)
    assert [case.facts.reoriented for case in found.cases] == [False, True]
    assert found.notes == ("1 of 2 label maps are stored along other axes than their images: taken in place",)
    assert found.exit_code == 0


def test_validation_cases_that_can_give_no_score_are_told(cubes, cubes_task):
    found = cubes.add("healthy", labels=truth() * 0, to="validation").check(cubes_task)
    assert found.warnings == (
        "no validation case has a label: there is no score, so the last epoch's weights are kept, not the best",
    )


def test_pairs_of_left_and_right_are_told_and_are_no_warning(tmp_path, cubes_task):
    labels = ("background", "right ear", "left ear")
    cubes = CubesFolder(tmp_path / "data").add("one", labels=truth(1) + np.roll(truth(2), 6, axis=0))
    found = cubes.check(cubes_task.replaced(labels=labels), labels=labels)
    assert found.pairs == (("left ear", "right ear"),)
    assert found.exit_code == 0
