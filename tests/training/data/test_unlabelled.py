"""A folder of scans joins a data set's cases without labels."""

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import Case, Dataset
from bedside.training.data.organ_masks import OrganMasks, truth_files
from bedside.training.data.unlabelled import with_unlabelled


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("b.nii.gz", "a.nii", "c.nii.gz", "notes.txt"):
        (folder / name).touch()
    return Dataset("d", ("background", "x"), (Case("c", folder / "c.nii.gz", folder / "c.nii.gz"),), (), (), tmp_path)


def test_the_scans_that_the_data_set_does_not_list_are_added(dataset, tmp_path):
    found = with_unlabelled(dataset, tmp_path / "scans").unlabelled
    assert [(case.name, case.image.name, case.label) for case in found] == [
        ("a", "a.nii", None),
        ("b", "b.nii.gz", None),
    ]


def test_a_folder_without_further_scans_is_refused(dataset, tmp_path):
    more = with_unlabelled(dataset, tmp_path / "scans")
    with pytest.raises(InputError, match=r'"scans": expected scans .* that the data set does not list, got none'):
        with_unlabelled(more, tmp_path / "scans")
    with pytest.raises(InputError, match='"none": cannot be read'):
        with_unlabelled(dataset, tmp_path / "none")


def test_the_truth_of_listed_cases_is_no_scan_where_it_lies_beside_the_scans(tmp_path):
    def case(name, label=None):
        return Case(name, tmp_path / f"{name}.nii.gz", label)

    listed = [case(name, tmp_path / f"label_{name}.nii.gz") for name in ("train", "val", "test", "unnamed")]
    masks = case("masks", OrganMasks((tmp_path / "liver.nii.gz", tmp_path / "spleen.nii.gz")))
    for each in (*listed, masks, case("further")):
        for file in (each.image, *truth_files(each.label)):
            file.touch()
    train, val, test, unnamed = listed
    dataset = Dataset("d", ("background", "x"), (train, masks), (val,), (test,), tmp_path, left_out=(unnamed,))
    found = with_unlabelled(dataset, tmp_path).unlabelled
    assert [each.name for each in found] == ["further", "unnamed"]  # the fold wants neither this case nor its labels
