"""`check_case`: everything that can be wrong with one case is named, and nothing else is."""

import re

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.case_cache import CaseCache
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case

from .cubes import GRID, SHAPE, CubesFolder, findings, scan, truth, with_nan


def test_a_scan_with_a_gantry_tilt_is_in_order_too(cubes, cubes_task):
    affine = GRID.affine.copy()
    affine[1:3, 1] = 4 * np.cos(0.3), 4 * np.sin(0.3)
    tilted = Grid(SHAPE, affine)
    found = cubes.add("tilted", grid=tilted, truth_grid=tilted).check(cubes_task)
    assert (findings(found), found.exit_code) == ({}, 0)
    facts = {case.name: case.facts for case in found.cases}
    assert facts["tilted"].volumes_ml[1] == pytest.approx(facts["fine"].volumes_ml[1] * np.cos(0.3))
    assert facts["tilted"].body.median == 40


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
        "different grids, 75 mm apart",
    ),
    "other spacing": (
        lambda path: write_volume(path / "case_label.nii.gz", truth(), Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0]))),
        "different grids, 15 mm apart",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_case_is_named_with_its_reason_and_the_others_are_checked_all_the_same(cubes, cubes_task, kind):
    breaking, reason = BROKEN[kind]
    cubes.add("case").add("last", labels=truth() * 0)
    breaking(cubes.path)
    found = cubes.check(cubes_task)
    assert found.exit_code == 3
    (problem,) = next(case.problems for case in found.cases if case.name == "case")
    assert re.search(reason, problem), problem
    assert list(findings(found)) == ["case", "last"]


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if not kind.startswith("missing")])
def test_check_and_preparation_give_the_same_reasons(cubes, cubes_task, kind):
    breaking, _ = BROKEN[kind]
    cubes.add("case")
    breaking(cubes.path)
    checked = next(case for case in cubes.check(cubes_task).cases if case.name == "case")
    case = Case("case", cubes.path / "case.nii.gz", cubes.path / "case_label.nii.gz")
    with pytest.raises(InputError) as refused:
        CaseCache(cubes.path / "prepared").obtain(case, CaseDigest.of(case), cubes_task)
    assert str(refused.value) == f'case "case": {"; ".join(checked.problems)}'


def test_an_empty_label_map_is_a_warning_for_a_scan_may_lack_what_is_looked_for(cubes, cubes_task):
    found = cubes.add("healthy", labels=truth() * 0).check(cubes_task)
    assert findings(found) == {"healthy": ("the label map is empty: nothing is marked in this scan",)}
    assert found.exit_code == 6


def test_a_structure_that_the_tasks_grid_loses_is_told(cubes, cubes_task):
    labels = np.zeros(SHAPE, np.uint8)
    labels[5, 5, 5] = 1
    found = cubes.add("dot", labels=labels).check(cubes_task.replaced(spacing=(12.0, 12.0, 15.0), patch=(16, 16, 8)))
    assert findings(found)["dot"] == ("cube (1 voxel) vanishes on the task's grid",)


def test_values_that_are_no_ct_in_hounsfield_units_are_told_as_the_device_would(cubes, cubes_task):
    found = cubes.add("offset", image=scan(1) + 1024).check(cubes_task)
    assert "this looks like CT without its offset" in findings(found)["offset"][0]


def test_facts_are_in_the_order_left_right_back_front_feet_head(tmp_path, cubes_task):
    turned = Grid((16, 24, 20), np.array([[0, -4.0, 0, 0], [0, 0, 4.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]]))
    cubes = CubesFolder(tmp_path / "data")
    cubes.add("turned", scan().transpose(2, 0, 1)[:, ::-1], truth().transpose(2, 0, 1)[:, ::-1], turned, turned)
    (case,) = cubes.check(cubes_task).cases
    assert (case.facts.shape, case.facts.spacing) == (SHAPE, pytest.approx((4.0, 4.0, 5.0)))


def test_intensities_of_the_body_are_held_against_the_tasks_range(cubes, cubes_task):
    (case,) = cubes.check(
        cubes_task.replaced(intensity=type(cubes_task.intensity)(clip=(0.0, 100.0), scale_to=(0, 1)))
    ).cases
    body = case.facts.body
    # The body has 18 × 14 voxels in each of 16 planes; 64 of them are the cube's.
    assert (body.below_clip, body.above_clip) == (0, pytest.approx(64 / (18 * 14 * 16)))
    assert (body.percentile_1, body.median) == (40, 40)


def test_a_scan_that_memory_does_not_hold_is_told_as_such(cubes, cubes_task, monkeypatch):
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: 1000)
    found = cubes.check(cubes_task)
    assert "MiB are free" in findings(found)["fine"][0]
    assert found.exit_code == 5


def test_no_reason_advises_an_option_that_training_does_not_have(cubes, cubes_task):
    cubes.add("4d").add("nan", image=with_nan(scan())).add("forms")
    four_dimensions(cubes.path / "4d.nii.gz")
    disagreeing_forms(cubes.path / "forms.nii.gz")
    reasons = findings(cubes.check(cubes_task))
    assert "got 3; store the one to use as a 3D file" in reasons["4d"][0]
    assert reasons["nan"][0].endswith("; repair the scan")
    assert "correct the header" in reasons["forms"][0]
    assert not any("--" in reason for case in reasons.values() for reason in case)


def disagreeing_forms(path):
    import nibabel as nib

    image = nib.Nifti1Image(scan(), np.diag([4.0, 4.0, 5.0, 1.0]))
    image.set_sform(np.diag([4.0, 4.0, 5.0, 1.0]), code=1)
    image.set_qform(np.diag([-4.0, -4.0, 5.0, 1.0]), code=1)
    nib.save(image, path)


def test_labels_blurred_by_a_float_type_are_taken(cubes, cubes_task):
    write_volume(cubes.path / "fine_label.nii.gz", truth().astype(np.float32) * np.float32(0.9999999), GRID)
    found = cubes.check(cubes_task)
    assert (findings(found), found.exit_code) == ({}, 0)
