from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import load_dataset

from .layouts import DECATHLON, NNUNET, names, nnunet_listing, touch, write


def test_nnunet_v2_lists_files_by_absolute_path_and_in_other_folders(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/ct.nii.gz", "elsewhere/seg.nii.gz")
    root = nnunet_listing(
        tmp_path / "raw" / "Dataset001", str(tmp_path / "elsewhere/ct.nii.gz"), "../../elsewhere/seg.nii.gz"
    )
    (case,) = load_dataset(root).training
    assert (case.name, case.image) == ("a", tmp_path / "elsewhere/ct.nii.gz")
    assert case.label is not None
    assert case.label.resolve() == tmp_path / "elsewhere/seg.nii.gz"  # type: ignore[union-attr]


def test_nnunet_images_without_a_channel_number_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz")
    assert names(load_dataset(write(tmp_path, NNUNET))) == ["amos_0001"]


def test_upper_case_endings_count_in_folders_and_lists(tmp_path: Path) -> None:
    touch(tmp_path / "folders", "imagesTr/B_0000.NII.GZ", "labelsTr/B.Nii.gz")
    assert names(load_dataset(write(tmp_path / "folders", NNUNET))) == ["B"]
    touch(tmp_path / "list", "A.NII.GZ", "labels/A.NII")
    content = {**DECATHLON, "training": [{"image": "A.NII.GZ", "label": "labels/A.NII"}]}
    assert names(load_dataset(write(tmp_path / "list", content))) == ["A"]


@pytest.mark.parametrize("ending", [".png", ".mha", ".nrrd", ""])
def test_scans_of_another_format_are_refused_with_what_to_do(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError, match=rf'expected NIfTI files \(\.nii, \.nii\.gz\), got "{ending}"; convert scans'):
        load_dataset(write(tmp_path, {**NNUNET, "file_ending": ending}))


@pytest.mark.parametrize("changes", [{"labels": None}, {"dataset": {"a": {"images": "a.nii.gz"}}}, {"file_ending": 3}])
def test_a_field_of_another_type_is_refused_by_the_list(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^data set dataset\.json: Expected"):
        load_dataset(write(tmp_path, {**NNUNET, **changes}))
