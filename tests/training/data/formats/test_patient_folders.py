from __future__ import annotations

from pathlib import Path

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import list_dataset, load_dataset

from .layouts import LABELS, names, touch


def test_without_a_list_the_task_names_the_labels(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p1/labels.nii.gz")
    with pytest.raises(
        InputError, match=r"it names no labels; give a task that does \(--task; evaluate also takes --labels\)"
    ):
        load_dataset(tmp_path)


def test_one_folder_for_each_patient_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p1/labels.nii.gz", "p2/ct.NII.GZ", "p2/ct_seg.nii")
    dataset = load_dataset(tmp_path, labels=LABELS)
    assert names(dataset) == ["p1", "p2"]
    assert [case.label.name for case in dataset.training if case.label] == ["labels.nii.gz", "ct_seg.nii"]
    assert list_dataset(tmp_path, labels=LABELS).layout == "a folder for each patient"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("t1.nii.gz", "t2.nii.gz", "seg.nii.gz"), r'"p1": expected one image channel, got 2 \(t1.nii.gz, t2.nii.gz\)'),
        (("ct.nii", "ct.nii.gz", "seg.nii"), r'"p1": expected one image, got 2 \(ct.nii, ct.nii.gz\); leave one in'),
        (("ct.nii.gz",), '"p1": found no label map; call it labels.nii.gz'),
        (("ct.nii.gz", "seg.nii.gz", "mask.nii.gz"), '"p1": expected one label map or one folder of masks, found more'),
        (("seg.nii.gz",), '"p1": image "ct.nii.gz" does not exist'),
    ],
)
def test_a_patients_folder_that_leaves_a_doubt_is_named(tmp_path: Path, files: tuple[str, ...], reason: str) -> None:
    touch(tmp_path, *(f"p1/{file}" for file in files), "p2/ct.nii.gz", "p2/labels.nii.gz")
    with pytest.raises(InputError, match=reason) as caught:
        load_dataset(tmp_path, labels=LABELS)
    assert "1 broken" in str(caught.value)


def test_patients_without_any_label_map_are_scans_to_test_on(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p2/ct.nii.gz")
    dataset = load_dataset(tmp_path, labels=LABELS)
    assert ([case.name for case in dataset.test], dataset.training) == (["p1", "p2"], ())
