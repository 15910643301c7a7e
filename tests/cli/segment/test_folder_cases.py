"""Which files of a folder are scans, and the names of their label maps."""

import json
import shutil

import numpy as np
import pytest
from bedside.runtime import InputError, UsageError


@pytest.fixture
def patients(tmp_path, cube, save):
    """One folder for each patient, the second with a label map of its own."""
    for name, size in (("p1", 5), ("p2", 10)):
        (tmp_path / "patients" / name).mkdir(parents=True)
        save(tmp_path / "patients" / name / "ct.nii.gz", cube(size))
    save(tmp_path / "patients" / "p2" / "labels.nii.gz", np.ones((20, 20, 20), np.uint8))
    return tmp_path / "patients"


def test_two_scans_of_one_name_are_refused_before_anything_is_done(scans, tmp_path, cube, save, run):
    save(scans / "a.nii", cube(3))
    with pytest.raises(InputError, match=r'"a\.nii" and "a\.nii\.gz" would have the same label map'):
        run(tmp_path / "no.bedside", scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_scans_whose_names_are_one_in_the_record_are_refused(tmp_path, cube, save, run):
    (tmp_path / "scans").mkdir()
    save(tmp_path / "a.nii.gz", cube(3))
    for name in ("a\udcff.nii.gz", r"a\xff.nii.gz"):  # the first has a byte that is no UTF-8
        shutil.copy(tmp_path / "a.nii.gz", tmp_path / "scans" / name)
    with pytest.raises(InputError, match=r"would have the same label map; rename or remove one"):
        run(tmp_path / "no.bedside", tmp_path / "scans", tmp_path / "out")


@pytest.mark.parametrize("target", ["scans/a.nii.gz", "out/b.nii.gz"], ids=["a scan", "another's place"])
@pytest.mark.parametrize("words", [(), ("--force",)], ids=["", "force"])
def test_a_label_map_replaces_no_scan_and_no_other_label_map_through_a_link(
    bundle_path, scans, tmp_path, run, target, words
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").symlink_to(tmp_path / target)
    before = (scans / "a.nii.gz").read_bytes()
    with pytest.raises(UsageError, match=r'in the output folder (is a link to|and) "[ab]\.nii\.gz"'):
        run(bundle_path, scans, tmp_path / "out", *words)
    assert (scans / "a.nii.gz").read_bytes() == before


def test_a_link_that_leads_to_itself_ends_no_run(bundle_path, scans, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").symlink_to("a.nii.gz")
    assert run(bundle_path, scans, tmp_path / "out", "--force").exit_code == 5
    assert (tmp_path / "out" / "b.nii.gz").is_file()


def test_of_a_folder_of_dicom_files_one_series_is_segmented_to_a_file(bundle_path, tmp_path, run):
    for series in ("a", "b"):
        (tmp_path / "series" / series).mkdir(parents=True)
        (tmp_path / "series" / series / "IM1").write_bytes(bytes(128) + b"DICM" + bytes(100))
    said = r'"series" is a folder of DICOM files, of which one series is segmented, so -o must be .* got "out"'
    with pytest.raises(UsageError, match=said):
        run(bundle_path, tmp_path / "series", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_scans_is_refused(bundle_path, tmp_path, run):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected \.nii or \.nii\.gz files in this folder, found none"):
        run(bundle_path, tmp_path / "empty", tmp_path / "out")


def test_channels_of_one_patient_are_not_taken_for_patients(bundle_path, tmp_path, cube, save, run):
    (tmp_path / "images").mkdir()
    for name in ("case_0000", "case_0001", "other_0000"):
        save(tmp_path / "images" / f"{name}.nii.gz", cube(5))
    with pytest.raises(InputError, match=r'holds several channels of "case" \("case_0001"\), and bundles take one'):
        run(bundle_path, tmp_path / "images", tmp_path / "out")
    (tmp_path / "images" / "case_0001.nii.gz").rename(tmp_path / "images" / "scan_0002.nii.gz")  # a number, no channel
    assert run(bundle_path, tmp_path / "images", tmp_path / "out").exit_code == 0


def test_endings_in_upper_case_count(bundle_path, tmp_path, cube, save, run, fat):
    (tmp_path / "scans").mkdir()
    save(tmp_path / "b.nii.gz", cube(5))
    (tmp_path / "b.nii.gz").rename(tmp_path / "scans" / "B.NII.GZ")
    assert run(bundle_path, tmp_path / "scans", tmp_path / "out").exit_code == 0
    assert fat(tmp_path / "out" / "B.nii.gz") == 125


def test_a_folder_for_each_patient_gives_label_maps_of_the_folders_names(
    bundle_path, patients, tmp_path, segmented, run, fat
):
    assert run(bundle_path, patients, tmp_path / "out").exit_code == 0
    assert (fat(tmp_path / "out" / "p1.nii.gz"), fat(tmp_path / "out" / "p2.nii.gz")) == (125, 1000)
    assert list(json.loads((tmp_path / "out" / "segment.json").read_text())["cases"]) == [
        "p1/ct.nii.gz",
        "p2/ct.nii.gz",
    ]
    assert segmented == ["ct.nii.gz", "ct.nii.gz"]  # the label map is not taken for a scan
    assert run(bundle_path, patients, tmp_path / "out").exit_code == 0
    assert len(segmented) == 2  # both are finished


def test_a_data_sets_folder_is_refused_with_the_folders_that_hold_scans(bundle_path, tmp_path, cube, save, run):
    for name in ("imagesTr", "labelsTr"):
        (tmp_path / "data" / name).mkdir(parents=True)
        save(tmp_path / "data" / name / "a.nii.gz", cube(5))
    with pytest.raises(InputError, match="found none; give one of its folders: imagesTr, labelsTr"):
        run(bundle_path, tmp_path / "data", tmp_path / "out")
