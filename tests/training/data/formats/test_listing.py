from __future__ import annotations

from pathlib import Path

from bedside.training.data.dataset import load_dataset
from bedside.training.data.formats.listing import RawCase, case_names

from .layouts import DECATHLON, entry, names, touch, write


def test_the_folder_distinguishes_files_of_one_name() -> None:
    a, b, c = Path("/one/ct.nii.gz"), Path("/two/ct.nii.gz"), Path("/two/mr.nii")
    assert case_names([RawCase(a), RawCase(b), RawCase(c)]) == {a: "one_ct", b: "two_ct", c: "mr"}


def test_as_many_folders_distinguish_files_of_one_name_as_are_needed() -> None:
    a, b, c, d = (Path(f"/data/{name}") for name in ("p1/scan/ct.nii", "p2/scan/ct.nii", "p2/scan/mr.nii", "mr.nii"))
    raws = [RawCase(image) for image in (a, b, c, d)]
    assert case_names(raws) == {a: "p1_scan_ct", b: "p2_scan_ct", c: "scan_mr", d: "data_mr"}


def test_a_case_keeps_the_name_that_its_layout_gives_it() -> None:
    assert case_names([RawCase(Path("/one/ct.nii.gz"), name="patient")]) == {Path("/one/ct.nii.gz"): "patient"}


def test_a_channel_number_is_no_part_of_a_cases_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    training = [entry("a_0000"), entry("b_0000", label="labelsTr/b.nii.gz")]
    assert names(load_dataset(write(tmp_path, {**DECATHLON, "training": training}))) == ["a", "b"]


def test_four_digits_that_number_cases_stay(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{folder}/amos_000{n}.nii.gz" for folder in ("imagesTr", "labelsTr") for n in (0, 1)))
    training = [entry(f"amos_000{n}", label=f"labelsTr/amos_000{n}.nii.gz") for n in (0, 1)]
    assert names(load_dataset(write(tmp_path, {**DECATHLON, "training": training}))) == ["amos_0000", "amos_0001"]
