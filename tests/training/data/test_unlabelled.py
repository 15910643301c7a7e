"""A folder of scans joins a data set's cases without labels; copies are left out."""

import json
from dataclasses import replace

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.case_digest import digest_cases
from bedside.training.data.dataset import Case, Dataset
from bedside.training.data.organ_masks import OrganMasks, truth_files
from bedside.training.data.unlabelled import with_unlabelled, without_copies, without_known


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


def test_cases_that_a_fold_leaves_out_may_take_part_without_their_labels(tmp_path, caplog):
    cases = tuple(Case(name, tmp_path / f"{name}.nii", tmp_path / f"label_{name}.nii") for name in "abc")
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ["a"], "val": ["b"]}]))
    scans = tuple(Case(f"scan {case.name}", case.image) for case in (*cases, Case("d", tmp_path / "d.nii")))
    dataset = Dataset("d", ("background", "x"), cases, (), (), tmp_path, unlabelled=scans)
    assert [each.name for each in without_known(dataset.split(fold=0)).unlabelled] == ["scan c", "scan d"]
    said = "scans listed as unlabelled are training or validation cases already, and left out: {}"
    assert caplog.messages == [said.format("scan a, scan b")]
    assert [each.name for each in without_known(dataset).unlabelled] == ["scan d"]
    assert caplog.messages[1:] == [said.format("scan a, scan b, scan c")]


def test_a_data_set_whose_scans_without_labels_are_others_stays_as_it_is(dataset, caplog):
    further = replace(dataset, unlabelled=(Case("u", dataset.root / "u.nii"),))
    assert without_known(further) is further
    assert not caplog.records


@pytest.fixture
def scans(tmp_path):
    """Makes scans without labels, name → content, and hashes them."""

    def write(**contents):
        cases = [Case(name, tmp_path / f"{name}.nii") for name in contents]
        for case, content in zip(cases, contents.values(), strict=True):
            case.image.write_text(content)
        return cases, digest_cases(cases)

    return write


def test_copies_of_each_other_and_of_training_cases_are_left_out_and_named(scans, caplog):
    cases, digests = scans(a="one", b="two", c="one", d="trained")
    assert without_copies(cases, digests, {digests[3].image}) == (cases[:2], digests[:2])
    assert "copies of others, or of training or validation cases, and left out: c, d" in caplog.text


def test_scans_without_copies_are_all_taken_without_a_word(scans, caplog):
    cases, digests = scans(a="one", b="two")
    assert without_copies(cases, digests, frozenset()) == (cases, digests)
    assert without_copies([], [], frozenset()) == ([], [])
    assert not caplog.records


def test_nothing_but_copies_of_training_cases_is_refused(scans):
    cases, digests = scans(a="one", b="one")
    with pytest.raises(
        InputError, match="each scan without labels is a copy of a training or validation case: name others"
    ):
        without_copies(cases, digests, {digests[0].image})
