"""What a data set holds twice is named, also among its scans without labels."""

import re

import pytest
from bedside.training.data.alike import find_alike
from bedside.training.data.case_check import CheckedCase, ListedCase
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case


@pytest.fixture
def found(tmp_path):
    """Compares a training case and a test case with scans without labels, given as name → content."""
    listed = [ListedCase(Case(name, tmp_path / f"{name}.nii"), (name,), ()) for name in ("training", "test")]
    for each in listed:
        each.case.image.write_text(each.case.name)
    checked = [(CheckedCase(name=each.case.name, lists=each.lists), CaseDigest.of(each.case)) for each in listed]

    def compare(**contents):
        scans = [Case(name, tmp_path / f"{name}.nii") for name in contents]
        for case, content in zip(scans, contents.values(), strict=True):
            case.image.write_text(content)
        return find_alike(listed, checked, scans)

    return compare


def test_scans_of_their_own_are_like_no_other(found):
    alike = found(a="a", b="tent", c="c")
    assert (dict(alike.cases), alike.unlabelled) == ({}, ())


def test_a_case_that_is_an_unlabelled_scan_too_is_named_as_the_same_file_or_a_copy(found):
    alike = found(copy="training", test="test")
    assert dict(alike.cases) == {
        "training": ['its image is identical to that of "copy" (unlabelled)'],
        "test": ["is in the lists test and unlabelled"],
    }
    assert alike.unlabelled == ()


def test_copies_among_the_unlabelled_scans_are_named_but_for_the_first(found):
    assert found(a="same", b="same", c="other", d="same").unlabelled == (
        "unlabelled scans are copies of others among them: b, d",
    )


def test_an_unlabelled_scan_that_cannot_be_read_stops_nothing(found, monkeypatch):
    monkeypatch.setattr("bedside.training.data.case_digest.file_sha256", unreadable)
    (said,) = found(a="same", b="same").unlabelled
    assert re.fullmatch(r'unlabelled scans cannot be compared, "[ab]\.nii" cannot be read: Permission denied', said)


def unreadable(path):
    raise PermissionError(13, "Permission denied")
