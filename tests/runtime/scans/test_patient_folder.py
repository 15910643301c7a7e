"""Empty files with names as people give them: what is a scan, a label map, a mask."""

import os
from pathlib import Path

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans import patient_folder
from bedside.runtime.scans.patient_folder import PatientFolder, holds_scan, inner_folders, patient_folders

from ...system_calls import replace_call


@pytest.fixture
def touch(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.mark.parametrize(
    "name",
    ["labels.nii.gz", "seg.nii", "ct_seg.nii.gz", "GT.nii.gz", "p1-Mask.nii", "mask2.nii", "ground.truth.nii.gz"],
)
def test_a_file_named_after_the_truth_is_a_label_map(touch, name):
    found = PatientFolder.of(touch("p1/ct.nii.gz", f"p1/{name}") / "p1")
    assert [file.name for file in found.images] == ["ct.nii.gz"]
    assert [file.name for file in found.label_maps] == [name]


@pytest.mark.parametrize("name", ["segment1.nii", "labelled_ct.nii.gz", "unmasked.nii", "target.nii", "MSK_0002.nii"])
def test_a_name_that_only_holds_such_letters_is_a_scan(touch, name):
    found = PatientFolder.of(touch(f"p1/{name}") / "p1")
    assert ([file.name for file in found.images], found.label_maps) == ([name], ())


def test_masks_lie_in_a_folder_named_after_the_truth(touch):
    root = touch("p1/ct.nii", "p1/segmentations/liver.nii.gz", "p1/segmentations/notes.txt", "p1/other/t2.nii.gz")
    found = PatientFolder.of(root / "p1")
    assert [file.name for file in found.masks] == ["liver.nii.gz"]
    assert [file.name for file in found.images] == ["ct.nii"]


def test_folders_without_a_scan_are_no_patients(touch):
    root = touch("p2/ct.nii", "p1/labels.nii", "notes/read.me", ".hidden/ct.nii")
    assert [patient.path.name for patient in patient_folders(root)] == ["p1", "p2"]


@pytest.mark.parametrize("name", ["ct.nii", "imagesTr/a.nii", "labels/a.nii", "Masks/a.nii", "segs/a.nii"])
def test_a_folder_of_scans_or_of_roles_has_no_patients(touch, name):
    assert patient_folders(touch("p1/ct.nii", name)) == []


def test_a_folder_with_a_journal_of_label_maps_is_no_patients_and_has_no_role(touch):
    root = touch("p1/ct.nii", "labels/p1.nii.gz", "labels/segment.json")
    assert [patient.path.name for patient in patient_folders(root)] == ["p1"]


def test_the_folder_that_label_maps_are_written_to_is_no_patients_and_has_no_role(touch):
    root = touch("p1/ct.nii", "labels/p1.nii.gz")
    assert [patient.path.name for patient in patient_folders(root, root / "p1" / ".." / "labels")] == ["p1"]


def test_a_patients_folder_that_cannot_be_read_is_named(touch, monkeypatch):
    def closed(folder):
        raise PermissionError(13, "Permission denied")

    root = touch("p1/ct.nii")
    monkeypatch.setattr(patient_folder, "nifti_files", closed)
    with pytest.raises(InputError, match=r'folder "p1": cannot be read \(Permission denied\)'):
        PatientFolder.of(root / "p1")


def test_a_folder_that_may_not_be_searched_has_no_journal(touch, monkeypatch):
    def refusing(path, *words, **options):
        if Path(path).name == "segment.json":
            raise PermissionError(13, "Permission denied")
        return status(path, *words, **options)

    root, status = touch("p1/ct.nii"), os.stat
    replace_call(monkeypatch, os, "stat", refusing)
    assert inner_folders(root) == [root / "p1"]


@pytest.mark.parametrize("name", ["ct.nii.gz", "deeper/CT.NII", "imagesTr/a_0000.nii.gz"])
def test_a_folder_with_a_scan_in_it_or_below_holds_one(touch, name):
    assert holds_scan(touch(f"ct_with_seg/{name}") / "ct_with_seg")


def test_a_folder_with_a_dicom_file_holds_a_scan(touch):
    root = touch("p1/series/IM1")
    (root / "p1/series/IM1").write_bytes(bytes(128) + b"DICM" + bytes(300))
    assert holds_scan(root / "p1")


@pytest.mark.parametrize(
    "name",
    ["p1/notes.txt", "p1/.hidden/ct.nii", "p1/.ct.nii", "labels/a.nii", "labelsTr/a.nii", "ground_truth/a.nii",
     "p1/masks/liver.nii.gz", "p1/ct_seg.nii.gz", "p1/run/ct.nii.gz"],
)  # fmt: skip
def test_notes_hidden_files_label_maps_and_results_are_no_scans(touch, name):
    root = touch(name, "p1/run/segment.json")
    assert not holds_scan(root / name.split("/")[0])
