"""Folders of patients: which give a scan, what is said of the others, and the output folder among them."""

import json

import numpy as np
import pytest
from bedside.runtime import InputError, UsageError


@pytest.fixture
def patients(tmp_path, cube, save):
    """A folder with the folders of two patients, each with a scan."""
    for name, size in (("p1", 5), ("p2", 10)):
        (tmp_path / "patients" / name).mkdir(parents=True)
        save(tmp_path / "patients" / name / "ct.nii.gz", cube(size))
    return tmp_path / "patients"


def test_a_patients_folder_with_two_scans_is_refused_by_name(bundle_path, patients, tmp_path, cube, save, run):
    save(patients / "p1" / "t2.nii.gz", cube(5))
    with pytest.raises(InputError, match=r'"p1": expected one scan in each patient\'s folder, got 2 \(ct.nii.gz, t2'):
        run(bundle_path, patients, tmp_path / "out")


def test_every_folder_that_gives_no_scan_is_named_with_the_reason(bundle_path, patients, tmp_path, save, run):
    for name in ("empty", "nested/CT", "named"):
        (patients / name).mkdir(parents=True)
    (patients / "p1" / "ct.nii.gz").rename(patients / "nested" / "CT" / "ct.nii.gz")
    save(patients / "named" / "mask_trial.nii.gz", np.ones((20, 20, 20), np.uint8))
    done = run(bundle_path, patients, tmp_path / "out", "--json")
    assert json.loads(done.stdout)["left_out"] == {
        "empty": "expected a .nii or .nii.gz file directly in it, found none",
        "named": "expected a scan in it, got mask_trial.nii.gz, named like a label map; rename it if it is a scan",
        "nested": "expected a .nii or .nii.gz file directly in it, found none",
        "p1": "expected a .nii or .nii.gz file directly in it, found none",
    }
    assert 'warning: folder "nested" is left out: expected a .nii' in done.stderr
    assert done.exit_code == 6


def test_nothing_is_left_out_where_each_folder_gives_a_scan(bundle_path, patients, tmp_path, run):
    done = run(bundle_path, patients, tmp_path / "out", "--json")
    assert (json.loads(done.stdout)["left_out"], done.exit_code) == ({}, 0)


@pytest.mark.parametrize("name", ["out", "labels"])
def test_the_output_folder_among_the_patients_folders_is_no_patient(
    bundle_path, patients, tmp_path, segmented, run, name
):
    (patients / name).mkdir()
    for _ in range(2):
        assert run(bundle_path, patients, patients / name).exit_code == 0
    assert run(bundle_path, patients, tmp_path / "others").exit_code == 0
    assert sorted(path.name for path in (patients / name).iterdir()) == ["p1.nii.gz", "p2.nii.gz", "segment.json"]
    assert segmented == 4 * ["ct.nii.gz"]


def test_a_patients_folder_is_refused_as_output_folder(bundle_path, patients, run):
    with pytest.raises(UsageError, match=r'-o "p2" .* holds ct\.nii\.gz without segment\.json: it may be a patient'):
        run(bundle_path, patients, patients / "p2")
    assert [path.name for path in (patients / "p2").iterdir()] == ["ct.nii.gz"]


def test_patients_folders_beside_a_loose_scan_are_named(bundle_path, patients, tmp_path, cube, save, segmented, run):
    save(patients / "loose.nii.gz", cube(5))
    for name in ("labels", ".hidden"):
        (patients / name).mkdir()
        save(patients / name / "p1.nii.gz", cube(5))
    done = run(bundle_path, patients, patients / "out", "--json")
    assert set(json.loads(done.stdout)["left_out"]) == {"p1", "p2"}
    assert 'warning: folder "p1" is left out: it holds scans, but beside NIfTI files no folder' in done.stderr
    assert (done.exit_code, segmented) == (6, ["loose.nii.gz"])
