"""Names of scans: endings in any case, nnU-Net's channel numbers, and patients' folders."""

import pytest
from bedside.runtime.scans.names import has_nifti_ending, joined_names, label_map_name, nifti_files, split_channel, stem
from bedside.runtime.scans.patient_folder import patient_folders


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.Nii", "a.nii.GZ"])
def test_endings_count_in_upper_and_lower_case(name):
    assert has_nifti_ending(name)
    assert stem(name).lower() == "a"


@pytest.mark.parametrize("scan", ["a.1.nii", "a.1.nii.gz", "a.1.NII", "a.1.Nii.GZ"])
def test_a_label_map_is_compressed_whatever_the_scan_is(scan):
    assert label_map_name(stem(scan)) == "a.1.nii.gz"


@pytest.mark.parametrize("name", ["a.gz", "a.nii.gz.part", "nii", "a.mha"])
def test_other_endings_are_no_scans_and_stay(name):
    assert not has_nifti_ending(name)
    assert stem(name) == name


def test_a_folders_scans_are_listed_without_hidden_files_and_folders(tmp_path):
    touch(tmp_path, "b.nii", "A.NII.GZ", ".c.nii", "notes.txt", "d.nii/inner.nii")
    assert [file.name for file in nifti_files(tmp_path)] == ["A.NII.GZ", "b.nii"]


def test_a_link_whose_file_is_gone_is_listed_so_that_its_reader_can_say_so(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    assert [file.name for file in nifti_files(tmp_path)] == ["a.nii.gz"]


def test_a_channel_is_four_digits_behind_the_case():
    assert split_channel("liver_003_0001") == ("liver_003", 1)
    assert split_channel("liver_003") is None
    assert split_channel("_0000") is None


def test_long_lists_of_names_are_counted():
    assert joined_names("abcdef", 4) == "a, b, c, d … and 2 more"
    assert joined_names("ab") == "a, b"


def test_a_patients_folder_is_told_into_scan_and_label_map(tmp_path):
    touch(tmp_path, "p1/ct.nii.gz", "p1/labels.nii.gz", "p2/imaging.nii.gz", "p2/segmentation.nii.gz", "notes/a.txt")
    first, second = patient_folders(tmp_path)
    assert [file.name for file in (*first.images, *first.label_maps)] == ["ct.nii.gz", "labels.nii.gz"]
    assert [file.name for file in (*second.images, *second.label_maps)] == ["imaging.nii.gz", "segmentation.nii.gz"]


def test_masks_of_organs_are_found_in_their_folder(tmp_path):
    touch(tmp_path, "s1/ct.nii.gz", "s1/segmentations/liver.nii.gz", "s1/segmentations/spleen.nii.gz", "s1/other/a.nii")
    (patient,) = patient_folders(tmp_path)
    assert [file.name for file in patient.masks] == ["liver.nii.gz", "spleen.nii.gz"]


@pytest.mark.parametrize("other", ["scan.nii.gz", "labelsTr/a.nii.gz", "images/a.nii.gz"])
def test_a_folder_with_scans_or_with_folders_by_role_holds_no_patients(tmp_path, other):
    touch(tmp_path, "p1/ct.nii.gz", other)
    assert patient_folders(tmp_path) == []
