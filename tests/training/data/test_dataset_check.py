"""`check_dataset`: everything a user can get wrong is named, case by case, and nothing else is."""

import json
import re

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.case_cache import CaseCache
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case
from bedside.training.data.dataset_check import check_dataset

SHAPE = (24, 20, 16)
GRID = Grid(SHAPE, np.diag([4.0, 4.0, 5.0, 1.0]))


def scan(number=0):
    """A grey body in air with one bright cube of 4×4×4 voxels; each number another scan."""
    image = np.full(SHAPE, -1000, np.int16)
    image[3:21, 3:17] = 40
    image[10:14, 8:12, 6:10] = 200
    image[0, 0, 0] = -1000 + number
    return image


def truth(label=1):
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:14, 8:12, 6:10] = label
    return labels


class Folder:
    """A data set that is written case by case."""

    def __init__(self, path):
        self.path = path
        self.lists = {"training": [], "validation": [], "test": []}
        path.mkdir()

    def add(self, name, image=None, labels=None, grid=GRID, truth_grid=GRID, to="training"):
        number = sum(len(cases) for cases in self.lists.values())
        labels = np.roll(truth(), number, axis=2) if labels is None else labels
        write_volume(self.path / f"{name}.nii.gz", scan(number) if image is None else image, grid)
        write_volume(self.path / f"{name}_label.nii.gz", labels, truth_grid)
        self.lists[to].append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
        return self

    def check(self, task, *, labels=("background", "cube"), **options):
        labels = {str(value): name for value, name in enumerate(labels)}
        (self.path / "dataset.json").write_text(json.dumps({"name": "cubes", "labels": labels, **self.lists}))
        return check_dataset(self.path, task, **options)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data").add("fine")


@pytest.fixture
def task(small_task):
    return small_task.replaced(spacing=(4.0, 4.0, 5.0), patch=(32, 32, 16))


def told(found):
    return {case.name: case.problems + case.warnings for case in found.cases if case.problems + case.warnings}


def test_a_data_set_in_order_has_nothing_to_tell(folder, task):
    found = folder.add("second").check(task)
    assert (told(found), found.problems, found.warnings, found.exit_code) == ({}, (), (), 0)


def test_a_scan_with_a_gantry_tilt_is_in_order_too(folder, task):
    affine = GRID.affine.copy()
    affine[1:3, 1] = 4 * np.cos(0.3), 4 * np.sin(0.3)
    tilted = Grid(SHAPE, affine)
    found = folder.add("tilted", grid=tilted, truth_grid=tilted).check(task)
    assert (told(found), found.exit_code) == ({}, 0)
    facts = {case.name: case.facts for case in found.cases}
    assert facts["tilted"].volumes_ml[1] == pytest.approx(facts["fine"].volumes_ml[1] * np.cos(0.3))
    assert facts["tilted"].body.median == 40


def with_nan(image):
    image = image.astype(np.float32)
    image[2, 3, 4] = np.nan
    return image


def four_dimensions(path):
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 3), np.int16), np.eye(4)), path)


BROKEN = {
    "missing label": (lambda path: (path / "case_label.nii.gz").unlink(), 'label map "case_label.nii.gz" does not'),
    "missing image": (lambda path: (path / "case.nii.gz").unlink(), 'image "case.nii.gz" does not exist'),
    "empty file": (lambda path: (path / "case.nii.gz").write_bytes(b""), "got an empty file; copy or export it again"),
    "no image": (lambda path: (path / "case.nii.gz").write_text("hello" * 90), "expected a NIfTI file"),
    "cut": (
        lambda path: (path / "case.nii.gz").write_bytes((path / "case.nii.gz").read_bytes()[:-30]),
        "truncated gzip file|damaged gzip|holds fewer",
    ),
    "nan": (lambda path: write_volume(path / "case.nii.gz", with_nan(scan()), GRID), "got NaN or Inf in plane 5 of 16"),
    "constant": (
        lambda path: write_volume(path / "case.nii.gz", np.full(SHAPE, 7, np.int16), GRID),
        "the same value 7 in every voxel",
    ),
    "4d": (lambda path: four_dimensions(path / "case.nii.gz"), "expected one 3D volume, got 3"),
    "unknown label": (lambda path: write_volume(path / "case_label.nii.gz", truth(3), GRID), "labels 0…1, got 3"),
    "label map of fractions": (
        lambda path: write_volume(path / "case_label.nii.gz", truth() * np.float32(0.5), GRID),
        "expected integer labels",
    ),
    "other size": (
        lambda path: write_volume(
            path / "case_label.nii.gz", truth()[:-1], Grid((23, 20, 16), np.diag([4.0, 4.0, 5.0, 1.0]))
        ),
        "24×20×16 voxels against 23×20×16",
    ),
    "other place": (
        lambda path: write_volume(path / "case_label.nii.gz", truth(), Grid(SHAPE, np.diag([4.0, 4.0, -5.0, 1.0]))),
        "different grids, 150 mm apart",
    ),
    "other spacing": (
        lambda path: write_volume(path / "case_label.nii.gz", truth(), Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0]))),
        "different grids, 15 mm apart",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_case_is_named_with_its_reason_and_the_others_are_checked_all_the_same(folder, task, kind):
    breaking, reason = BROKEN[kind]
    folder.add("case").add("last", labels=truth() * 0)
    breaking(folder.path)
    found = folder.check(task)
    assert found.exit_code == 3
    (problem,) = next(case.problems for case in found.cases if case.name == "case")
    assert re.search(reason, problem), problem
    assert list(told(found)) == ["case", "last"]


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if not kind.startswith("missing")])
def test_check_and_preparation_give_the_same_reasons(folder, task, kind):
    breaking, _ = BROKEN[kind]
    folder.add("case")
    breaking(folder.path)
    checked = next(case for case in folder.check(task).cases if case.name == "case")
    case = Case("case", folder.path / "case.nii.gz", folder.path / "case_label.nii.gz")
    with pytest.raises(InputError) as refused:
        CaseCache(folder.path / "prepared").obtain(case, CaseDigest.of(case), task)
    assert str(refused.value) == f'case "case": {"; ".join(checked.problems)}'


def test_an_empty_label_map_is_a_warning_for_a_scan_may_lack_what_is_looked_for(folder, task):
    found = folder.add("healthy", labels=truth() * 0).check(task)
    assert told(found) == {"healthy": ("the label map is empty: nothing is marked in this scan",)}
    assert found.exit_code == 6


def test_a_structure_that_the_tasks_grid_loses_is_told(folder, task):
    labels = np.zeros(SHAPE, np.uint8)
    labels[5, 5, 5] = 1
    found = folder.add("dot", labels=labels).check(task.replaced(spacing=(12.0, 12.0, 15.0), patch=(16, 16, 8)))
    assert told(found)["dot"] == ("cube (1 voxel) is gone on the task's grid",)


def test_values_that_are_no_ct_in_hounsfield_units_are_told_as_the_device_would(folder, task):
    found = folder.add("offset", image=scan(1) + 1024).check(task)
    assert "this looks like CT without its offset" in told(found)["offset"][0]


def test_the_same_scan_under_two_names_is_told_for_both(folder, task):
    found = folder.add("copy", image=scan(0), labels=truth(), to="validation").check(task)
    assert told(found) == {
        "fine": (
            'its image is byte by byte that of "copy" (validation)',
            'its label map is byte by byte that of "copy" (validation)',
        ),
        "copy": (
            'its image is byte by byte that of "fine" (training)',
            'its label map is byte by byte that of "fine" (training)',
        ),
    }


def test_a_case_in_two_lists_is_checked_once_and_told(folder, task):
    folder.lists["validation"] = folder.lists["training"][:1]
    found = folder.check(task)
    assert [case.name for case in found.cases] == ["fine"]
    assert told(found) == {"fine": ("stands in the lists training and validation",)}


def test_a_test_case_needs_no_label_map(folder, task):
    folder.add("new", to="test")
    folder.lists["test"] = ["new.nii.gz"]
    assert folder.check(task).exit_code == 0


def test_labels_that_are_not_the_tasks_are_told_and_the_cases_are_checked(folder, task):
    found = folder.add("bad", labels=truth(9)).check(task.replaced(labels=("background", "sphere")))
    assert found.problems[0].startswith('label 1 is "cube" in data set "cubes" but "sphere" in task')
    assert "got 9" in told(found)["bad"][0]
    assert found.exit_code == 3


def test_volumes_are_millilitres_of_the_label_map_itself(folder, task):
    found = folder.add("half", labels=truth() * (np.arange(16) < 8).astype(np.uint8)).check(task)
    (cube,) = found.labels  # 64 voxels of 4 × 4 × 5 mm are 5.12 ml, half of them 2.56
    assert (cube.name, cube.cases) == ("cube", 2)
    assert (cube.mean_ml, cube.smallest_ml, cube.largest_ml) == pytest.approx((3.84, 2.56, 5.12))


def test_a_label_that_never_occurs_is_told(tmp_path, task):
    found = Folder(tmp_path / "data").add("healthy", labels=truth() * 0).check(task)
    assert found.warnings == (
        "in no case that can be read: cube",
        "no training case holds a label: a network can learn nothing but background; check the label maps",
    )


def test_facts_are_in_the_order_left_right_back_front_feet_head(tmp_path, task):
    turned = Grid((16, 24, 20), np.array([[0, -4.0, 0, 0], [0, 0, 4.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]]))
    folder = Folder(tmp_path / "data")
    folder.add("turned", scan().transpose(2, 0, 1)[:, ::-1], truth().transpose(2, 0, 1)[:, ::-1], turned, turned)
    (case,) = folder.check(task).cases
    assert (case.facts.shape, case.facts.spacing) == (SHAPE, pytest.approx((4.0, 4.0, 5.0)))


def test_intensities_of_the_body_are_held_against_the_tasks_range(folder, task):
    (case,) = folder.check(task.replaced(intensity=type(task.intensity)(clip=(0.0, 100.0), scale_to=(0, 1)))).cases
    body = case.facts.body
    # The body has 18 × 14 voxels in each of 16 planes, of which the cube is 64.
    assert (body.below_clip, body.above_clip) == (0, pytest.approx(64 / (18 * 14 * 16)))
    assert (body.percentile_1, body.median) == (40, 40)


def test_without_a_task_files_geometry_values_and_labels_are_checked(folder):
    folder.add("bad", labels=truth(9)).add("nan", image=with_nan(scan()))
    found = folder.check(None)
    assert found.task is None
    assert set(told(found)) == {"bad", "nan"}
    assert found.cases[0].facts.body is None
    assert found.cases[0].facts.values == (-1000, 200)


def test_workers_change_nothing_but_the_time(folder, task):
    folder.add("bad", labels=truth(9)).add("empty", labels=truth() * 0).add("fourth")
    seen = []
    assert folder.check(task, workers=3, progress=lambda *at: seen.append(at)) == folder.check(task)
    assert seen == [(done, 4) for done in range(5)]


def test_a_list_that_cannot_be_read_is_refused(tmp_path, task):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"data set dataset\.json"):
        check_dataset(tmp_path, task)


def test_a_scan_that_memory_does_not_hold_is_told_as_such(folder, task, monkeypatch):
    monkeypatch.setattr("bedside.runtime.memory.free_memory.free_memory", lambda: 1000)
    found = folder.check(task)
    assert "MiB are free" in told(found)["fine"][0]
    assert found.exit_code == 5


def test_no_reason_advises_an_option_that_training_does_not_have(folder, task):
    folder.add("4d").add("nan", image=with_nan(scan())).add("forms")
    four_dimensions(folder.path / "4d.nii.gz")
    disagreeing_forms(folder.path / "forms.nii.gz")
    reasons = told(folder.check(task))
    assert "got 3; store the one to train on as a 3D file and list that" in reasons["4d"][0]
    assert reasons["nan"][0].endswith("; repair the scan")
    assert "correct the header" in reasons["forms"][0]
    assert not any("--" in reason for case in reasons.values() for reason in case)


def disagreeing_forms(path):
    import nibabel as nib

    image = nib.Nifti1Image(scan(), np.diag([4.0, 4.0, 5.0, 1.0]))
    image.set_sform(np.diag([4.0, 4.0, 5.0, 1.0]), code=1)
    image.set_qform(np.diag([-4.0, -4.0, 5.0, 1.0]), code=1)
    nib.save(image, path)


def test_a_label_that_the_training_cases_lack_is_told(folder, task):
    folder.add("held out", labels=truth(2), to="validation")
    found = folder.check(task.replaced(labels=("background", "cube", "ball")), labels=("background", "cube", "ball"))
    assert found.warnings == (
        "in no training case: ball; a network cannot learn what it is not shown",
        "in no validation case: cube; the mean Dice leaves this out",
    )
    assert found.exit_code == 6


def test_validation_cases_that_can_give_no_score_are_told(folder, task):
    found = folder.add("healthy", labels=truth() * 0, to="validation").check(task)
    assert found.warnings == (
        "no validation case holds a label: there is no score, so the last epoch's weights are kept, not the best",
    )


def test_pairs_of_left_and_right_are_told_and_are_no_warning(tmp_path, task):
    labels = ("background", "right ear", "left ear")
    folder = Folder(tmp_path / "data").add("one", labels=truth(1) + np.roll(truth(2), 6, axis=0))
    found = folder.check(task.replaced(labels=labels), labels=labels)
    assert found.pairs == (("left ear", "right ear"),)
    assert found.exit_code == 0


def test_labels_blurred_by_a_float_type_are_taken(folder, task):
    write_volume(folder.path / "fine_label.nii.gz", truth().astype(np.float32) * np.float32(0.9999999), GRID)
    found = folder.check(task)
    assert (told(found), found.exit_code) == ({}, 0)
