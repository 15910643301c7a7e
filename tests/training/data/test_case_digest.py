import errno
import hashlib
import os
import re

import pytest
from bedside.runtime.errors import InputError, ResourceError
from bedside.training.data.case_digest import CaseDigest, data_hash, digest_cases, possible_copies
from bedside.training.data.dataset import Case
from bedside.training.data.organ_masks import OrganMasks


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def case(tmp_path):
    """A case of files whose content is their name."""
    for name in ("image", "label", "liver", "spleen"):
        (tmp_path / name).write_bytes(name.encode())
    return Case("case", tmp_path / "image", tmp_path / "label")


def test_a_digest_holds_the_hashes_of_image_and_label_map(case):
    digest = CaseDigest.of(case)
    assert (digest.image, digest.label) == (sha256(b"image"), sha256(b"label"))
    assert [size for size, _ in digest.stamps] == [5, 5]


def test_a_case_without_a_label_map_has_none_to_hash(case):
    assert CaseDigest.of(Case("case", case.image)).label == ""


def test_masks_are_hashed_in_the_order_of_the_labels(case, tmp_path):
    masks = OrganMasks((tmp_path / "spleen", tmp_path / "liver"))
    expected = sha256("\n".join(("masks", sha256(b"spleen"), sha256(b"liver"))).encode())
    assert CaseDigest.of(Case("case", case.image, masks)).label == expected


def test_files_that_cannot_be_read_are_refused_by_the_cases_name(case):
    case.label.unlink()
    with pytest.raises(InputError, match='case "case": its files cannot be read: No such file or directory'):
        CaseDigest.of(case)


@pytest.mark.parametrize("change", ["time", "size", "gone"])
def test_files_that_changed_since_are_refused(case, change):
    digest = CaseDigest.of(case)
    digest.check_unchanged(case)
    if change == "time":
        os.utime(case.label, (0, 0))
    elif change == "size":
        case.image.write_bytes(b"images")
    else:
        case.image.unlink()
    with pytest.raises(InputError, match='case "case": its files changed while they were read; start again'):
        digest.check_unchanged(case)


def test_several_threads_give_the_digests_in_the_order_of_the_cases(case, tmp_path):
    cases = [Case(name, tmp_path / name) for name in ("spleen", "image", "liver")]
    assert [digest.image for digest in digest_cases(cases, workers=3)] == [sha256(case.name.encode()) for case in cases]


def test_the_hash_of_the_data_depends_on_names_order_not_on_the_lists(case, tmp_path):
    cases = [Case(name, tmp_path / name) for name in ("spleen", "image", "liver")]
    digests = digest_cases(cases)
    assert data_hash(cases, digests) == data_hash(cases[::-1], digests[::-1])
    assert data_hash(cases, digests) != data_hash(cases, digests[::-1])


def test_data_hash_changes_with_one_voxel_and_not_with_the_place(small_dataset, tmp_path):
    case = small_dataset.training[0]
    moved = Case(case.name, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    moved.image.write_bytes(case.image.read_bytes())
    moved.label.write_bytes(case.label.read_bytes())
    original = data_hash([case], digest_cases([case]))
    assert data_hash([moved], digest_cases([moved])) == original
    moved.label.write_bytes(case.label.read_bytes() + b"\0")
    assert data_hash([moved], digest_cases([moved])) != original


def test_of_files_of_another_size_than_all_others_none_is_read(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr("bedside.training.data.case_digest.file_sha256", lambda path: read.append(path.name) or "0")
    for name in ("ab", "cd", "efg", "hijk", "lmno"):
        (tmp_path / name).write_text(name)
    known = {tmp_path / "hijk": "1"}
    images = [tmp_path / name for name in ("ab", "cd", "efg", "lmno", "hijk")]
    assert possible_copies(images, known) == {
        tmp_path / "ab": "0", tmp_path / "cd": "0", tmp_path / "lmno": "0", tmp_path / "hijk": "1",
    }  # fmt: skip
    assert sorted(read) == ["ab", "cd", "lmno"]


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files"), ResourceError, '"one.nii": Too many open files'),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            InputError,
            'compared, "one.nii" cannot be read: Permission',
        ),
    ],
)
def test_a_shortage_of_the_machine_is_not_the_fault_of_a_compared_scan(tmp_path, monkeypatch, error, raised, said):
    def failing(path):
        raise error

    monkeypatch.setattr("bedside.training.data.case_digest.file_sha256", failing)
    for name in ("one.nii", "other.nii"):
        (tmp_path / name).write_text("alike")
    with pytest.raises(raised, match=re.escape(said)):
        possible_copies([tmp_path / "one.nii"], {tmp_path / "other.nii": "0"})
