"""A scan without labels is taken once, however often it is listed."""

from __future__ import annotations

from pathlib import Path

from bedside.training.data.dataset import load_dataset

from .layouts import DECATHLON, entry, touch, write


def test_repeats_are_left_out_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTr/t.nii.gz")
    scans = [f"imagesTr/{name}.nii.gz" for name in ("b", "a", "c", "b", "t", "b", "a")]
    lists = {"training": [entry("a")], "test": ["imagesTr/t.nii.gz"], "unlabeled": scans}
    dataset = load_dataset(write(tmp_path, {**DECATHLON, **lists}))
    assert [case.name for case in dataset.unlabelled] == ["b", "a", "c", "t"]
    assert dataset.warnings == ("scans listed as unlabelled more than once are taken once: b, a",)


def test_a_list_in_order_has_no_warning(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    lists = {"training": [entry("a")], "unlabeled": ["imagesTr/b.nii.gz", "more/a.nii.gz"]}
    dataset = load_dataset(write(tmp_path, {**DECATHLON, **lists}))
    assert (len(dataset.unlabelled), dataset.warnings) == (2, ())
