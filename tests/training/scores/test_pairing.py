"""Pairing by name: nnU-Net's channel number and the case of endings make no difference, and doubts are refused."""

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import Case
from bedside.training.scores.pairing import pairs_of_cases, pairs_of_folders


def files(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def paired(pairs):
    return {pair.name: pair.prediction.name for pair in pairs}


def test_a_prediction_may_have_the_channel_number_that_the_scan_had(tmp_path):
    predicted = files(tmp_path / "p", "la_000_0000.nii.gz", "la_001_0000.nii.gz")
    truth = files(tmp_path / "t", "la_000.nii.gz", "la_001.nii.gz")
    assert paired(pairs_of_folders(predicted, truth)) == {
        "la_000": "la_000_0000.nii.gz", "la_001": "la_001_0000.nii.gz",
    }  # fmt: skip


def test_the_truth_may_have_it_as_well(tmp_path):
    pairs = pairs_of_folders(files(tmp_path / "p", "a.nii.gz"), files(tmp_path / "t", "a_0000.nii.gz"))
    assert paired(pairs) == {"a_0000": "a.nii.gz"}


def test_numbers_that_tell_cases_apart_stay(tmp_path):
    names = ("amos.nii.gz", "amos_0000.nii.gz", "amos_0001.nii.gz")
    pairs = pairs_of_folders(files(tmp_path / "p", *names), files(tmp_path / "t", *names))
    assert paired(pairs) == {name.removesuffix(".nii.gz"): name for name in names}


def test_another_channel_is_not_the_case(tmp_path):
    with pytest.raises(InputError, match="1 of 1 have none: a"):
        pairs_of_folders(files(tmp_path / "p", "a_0001.nii.gz"), files(tmp_path / "t", "a.nii.gz"))


def test_where_some_cases_are_predicted_the_refusal_says_how_to_score_these(tmp_path):
    predicted, truth = files(tmp_path / "p", "a.nii.gz"), files(tmp_path / "t", "a.nii.gz", "b.nii.gz")
    advice = "to score some cases alone, give as -t a folder with the truth of these"
    with pytest.raises(InputError, match=f"1 of 2 have none: b; the files there are called a.nii.gz; {advice}"):
        pairs_of_folders(predicted, truth)
    assert paired(pairs_of_folders(predicted, files(tmp_path / "alone", "a.nii.gz"))) == {"a": "a.nii.gz"}


@pytest.mark.parametrize("names", [("a.nii.gz", "a_0000.nii.gz"), ("a.nii", "a.nii.gz"), ("a.nii.gz", "a.NII.GZ")])
def test_two_predictions_of_a_case_are_refused_by_name(tmp_path, names):
    predicted, truth = files(tmp_path / "p", *names), files(tmp_path / "t", "a.nii.gz")
    if len(list(predicted.iterdir())) < 2:
        names = ("a.nii", "a.nii.gz")  # a file system that does not tell upper from lower case
        files(predicted, *names)
    with pytest.raises(InputError, match='expected one prediction for case "a"') as caught:
        pairs_of_folders(predicted, truth)
    assert all(name in str(caught.value) for name in names)


def test_two_truths_of_a_case_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="expected one true label map for each case, got two of a"):
        pairs_of_folders(files(tmp_path / "p", "a.nii.gz"), files(tmp_path / "t", "a.nii", "a.nii.gz"))


def test_endings_count_in_upper_and_lower_case(tmp_path):
    assert paired(pairs_of_folders(files(tmp_path / "p", "B.Nii"), files(tmp_path / "t", "B.NII.GZ"))) == {"B": "B.Nii"}


def test_cases_of_a_data_set_are_paired_the_same(tmp_path):
    case = Case("la_000", tmp_path / "la_000_0000.nii.gz", tmp_path / "la_000.nii.gz")
    assert paired(pairs_of_cases(files(tmp_path / "p", "la_000_0000.nii.gz"), [case])) == {
        "la_000": "la_000_0000.nii.gz"
    }
