"""A training warns of scans that it learns from and that are scored as well, under any name."""

import errno
import hashlib

import pytest
from bedside.runtime.shortage import raise_shortage
from bedside.training.data import seen_scans
from bedside.training.data.case_digest import digest_cases
from bedside.training.data.dataset import Case, Dataset
from bedside.training.data.seen_scans import warn_of_seen_scans

SAID = "scans that are trained on are {}, whose Dice is then too high: {}; leave them out"
VALIDATION = "copies of validation scans"
TEST = "test scans too, or copies of some"


@pytest.fixture
def warned(tmp_path, caplog):
    """Returns what is said of a data set: for each list, name → content of the scan, or None without a file.

    ``earlier`` has the contents of scans from which teachers learned.
    """

    def of(training, validation=None, test=None, unlabelled=None, earlier=()):
        def cases(of_list, contents):
            found = tuple(Case(name, tmp_path / f"{of_list}_{name}.nii") for name in contents or ())
            for case in (case for case in found if contents[case.name] is not None):
                case.image.write_text(contents[case.name])
            return found

        trained, validated = cases("training", training), cases("validation", validation)
        further = cases("unlabelled", unlabelled)
        dataset = Dataset("d", ("background", "x"), trained, validated, cases("test", test), tmp_path)
        listed = tuple({case.name: case for case in (*trained, *validated)}.values())
        warn_of_seen_scans(
            dataset,
            [*zip(listed, digest_cases(listed), strict=True)],
            [*zip(further, digest_cases(further), strict=True)],
            frozenset(hashlib.sha256(content.encode()).hexdigest() for content in earlier),
        )
        return [record.getMessage() for record in caplog.records]

    return of


def test_copies_of_validation_scans_are_named(warned):
    said = warned({"a": "one", "b": "two"}, validation={"v": "one", "w": "six"}, unlabelled={"u": "ten"})
    assert said == [SAID.format(VALIDATION, "a")]


def test_copies_of_test_scans_are_named_with_and_without_labels(warned):
    said = warned({"a": "one", "b": "two"}, test={"t": "one", "s": "six"}, unlabelled={"c": "six", "u": "ten"})
    assert said == [SAID.format(TEST, "a, c")]


def test_a_labelled_case_in_both_lists_is_one_case_and_no_copy(warned):
    (said,) = warned({"a": "one"}, validation={"a": "one"})
    assert "are also in the validation list, whose Dice is then too high: a; take them out of one of the lists" in said


def test_a_training_case_that_the_test_list_names_is_said(tmp_path, caplog):
    both = Case("a", tmp_path / "a.nii")
    both.image.write_text("one")
    warn_of_seen_scans(
        Dataset("d", ("background", "x"), (both,), (), (both,), tmp_path),
        [(both, digest_cases([both])[0])],
        [],
        frozenset(),
    )
    assert SAID.format(TEST, "a") in caplog.text


def test_validation_scans_that_are_test_scans_have_chosen_the_epoch(warned):
    said = warned({"a": "one"}, validation={"v": "two", "w": "six"}, test={"t": "two"})
    assert said == [
        "validation scans, which choose the best epoch, are test scans too, or copies of some, whose Dice is then too "
        "high: v; leave them out"
    ]


def test_test_scans_from_which_a_teacher_learned_are_named_whatever_their_size(warned):
    said = warned({"a": "one"}, test={"t": "a scan of its own size", "s": "six"}, earlier=["a scan of its own size"])
    assert said == [
        "what this training builds on, teachers or earlier weights, has learned from test scans or was chosen by "
        "them, and their Dice is then too high: t; leave them out of the test list"
    ]


def test_other_test_scans_are_not_hashed_where_teachers_learned_from_the_same_scans(warned, monkeypatch):
    monkeypatch.setattr(seen_scans, "hash_images", None)
    assert not warned({"a": "one"}, test={"t": "a scan of its own size"}, earlier=["one"])


def test_a_test_scan_that_cannot_be_read_stops_no_training(warned):
    (said,) = warned({"a": "one"}, test={"gone": None, "t": "one"})
    assert said == (
        "whether test scans take part in the training is not known: "
        'scans cannot be compared, "test_gone.nii" cannot be read: No such file or directory'
    )


def test_a_share_that_fails_under_a_test_scan_stops_no_training(warned, monkeypatch):
    monkeypatch.setattr(seen_scans, "possible_copies", lambda *_: raise_shortage(OSError(errno.EIO, "x"), '"t.nii"'))
    (said,) = warned({"a": "one"}, test={"t": "one"})
    assert said.startswith('whether test scans take part in the training is not known: "t.nii": Input/output error')


def test_nothing_is_said_of_scans_that_differ(warned):
    assert not warned({"a": "one"}, validation={"v": "two"}, test={"t": "ten"}, unlabelled={"u": "six"})
