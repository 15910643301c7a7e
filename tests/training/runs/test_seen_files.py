"""Files of scans that networks have seen are found by their content, wherever they lie."""

from hashlib import sha256

import pytest
from bedside.runtime.errors import InputError
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.seen_files import SeenFile, SeenFiles, find_seen


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sha256(content).hexdigest()


def network(*scans, chosen_by=(), knows_all=True):
    return LearnedFrom(scans=frozenset(scans), validation_scans=frozenset(chosen_by), knows_all=knows_all)


def test_every_file_that_a_network_has_seen_is_named_with_what_it_did(tmp_path):
    one, two = write(tmp_path / "a.nii.gz", b"1"), write(tmp_path / "deep" / "b.NII", b"2")
    write(tmp_path / "c.nii", b"3")
    write(tmp_path / "copy.nii", b"1")
    networks = [("x", network(one, chosen_by=[two])), ("y", network(one, two)), ("z", network())]
    assert find_seen([tmp_path], networks) == SeenFiles(
        files=4,
        networks=("x", "y", "z"),
        seen=(
            SeenFile(file="a.nii.gz", taught=("x", "y")),
            SeenFile(file="copy.nii", taught=("x", "y")),
            SeenFile(file="deep/b.NII", taught=("y",), chose=("x",)),
        ),
    )


def test_what_was_not_seen_needs_no_review_unless_a_network_does_not_record_all(tmp_path):
    write(tmp_path / "a.nii", b"1")
    assert find_seen([tmp_path], [("x", network("2"))]).exit_code == 0
    found = find_seen([tmp_path], [("x", network("2")), ("y", network("3", knows_all=False))])
    assert (found.seen, found.incomplete, found.exit_code) == ((), ("y",), 6)


def test_files_are_taken_whatever_their_names_and_each_once(tmp_path):
    scan = write(tmp_path / "scan", b"1")
    write(tmp_path / "other.nii", b"2")
    write(tmp_path / "._other.nii", b"3")  # as macOS leaves beside files
    found = find_seen([tmp_path / "scan", tmp_path, tmp_path / "other.nii"], [("x", network(scan))])
    assert (found.files, [each.file for each in found.seen], found.exit_code) == (2, [str(tmp_path / "scan")], 6)


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path):
    seen = write(tmp_path / "a" / "case.nii", b"1")
    write(tmp_path / "b" / "case.nii", b"2")
    found = find_seen([tmp_path / "a", tmp_path / "b"], [("x", network(seen))])
    assert [each.file for each in found.seen] == [(tmp_path / "a" / "case.nii").as_posix()]


def test_what_holds_no_scan_is_refused(tmp_path):
    write(tmp_path / "dicom" / "1.dcm", b"1")
    with pytest.raises(InputError, match='"dicom" holds no NIfTI file; records of networks name no scans of other'):
        find_seen([tmp_path / "dicom"], [("x", network())])
    with pytest.raises(InputError, match='"gone" does not exist; expected a scan, or a folder with NIfTI files'):
        find_seen([tmp_path / "gone"], [("x", network())])
    (tmp_path / "dicom" / "gone.nii").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r'"gone\.nii" cannot be read: No such file'):
        find_seen([tmp_path / "dicom"], [("x", network())])
