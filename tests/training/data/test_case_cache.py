"""The folder of prepared cases: found by content, shared, mended, never believed when damaged."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.runtime.files.lock import Lock
from bedside.runtime.files.lock_file import lock_file
from bedside.runtime.task import Intensity, Modality
from bedside.training.data.case_cache import CaseCache, case_key
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.prepared_case import PreparedCase

DIGEST = CaseDigest("a" * 64, "b" * 64, ())


@pytest.fixture
def case(small_dataset, tmp_path):
    """A copy of a case that tests may change."""
    original = small_dataset.training[0]
    copy = Case("copy", tmp_path / "copy.nii.gz", tmp_path / "copy_label.nii.gz")
    copy.image.write_bytes(original.image.read_bytes())
    copy.label.write_bytes(original.label.read_bytes())
    return copy


def folders(cache):
    return sorted(path for path in cache.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing": (4.0, 4.0, 3.0)},
        {"orientation": "LPS"},
        {"intensity": Intensity(clip=(-200.0, 301.0), scale_to=(0.0, 1.0))},
        {"modality": Modality.MR},
        {"labels": ("background", "cube", "sphere")},
    ],
)
def test_what_changes_the_arrays_changes_the_key(small_task, changes):
    assert case_key(DIGEST, small_task.replaced(**changes)) != case_key(DIGEST, small_task)


def test_what_the_arrays_do_not_depend_on_leaves_the_key_alone(small_task):
    same = small_task.replaced(name="other", patch=(32, 32, 32), anatomy="leg", labels=("background", "box"))
    assert case_key(DIGEST, same) == case_key(DIGEST, small_task)


def test_image_and_label_map_both_decide_the_key(small_task):
    keys = {case_key(CaseDigest(i * 64, label * 64, ()), small_task) for i in "ab" for label in "ab"}
    assert len(keys) == 4


def test_the_same_scan_under_another_name_is_the_same_folder(case, small_task, tmp_path):
    other = Case("renamed", tmp_path / "renamed.nii.gz", case.label)
    other.image.write_bytes(case.image.read_bytes())
    first, second = prepare_cases([case, other], small_task, tmp_path / "cases", workers=2)
    assert first.folder == second.folder
    assert (first.name, second.name) == ("copy", "renamed")


def test_a_changed_file_is_prepared_anew_and_the_old_case_stays(case, small_dataset, small_task, tmp_path):
    before = prepare_cases([case], small_task, tmp_path / "cases")[0]
    case.image.write_bytes(small_dataset.training[1].image.read_bytes())
    after = prepare_cases([case], small_task, tmp_path / "cases")[0]
    assert not np.array_equal(before.image(), after.image())
    assert len(folders(tmp_path / "cases")) == 2


@pytest.mark.parametrize("file", ["image.npy", "labels.npy", "centres.npy", "case.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_case_is_prepared_again_and_that_is_said(file, damage, case, small_task, tmp_path, caplog):
    folder = prepare_cases([case], small_task, tmp_path / "cases")[0].folder
    whole = (folder / file).read_bytes()
    if damage == "cut":
        (folder / file).write_bytes(whole[:-8])
    else:
        (folder / file).unlink()
    with caplog.at_level(logging.WARNING, "bedside.training"):
        prepare_cases([case], small_task, tmp_path / "cases")
    assert (folder / file).read_bytes() == whole
    assert "it is prepared again" in caplog.text
    assert "copy" not in caplog.text  # a case's name may be a person's


def test_a_case_that_is_there_is_not_written_again(case, small_task, tmp_path):
    folder = prepare_cases([case], small_task, tmp_path / "cases")[0].folder
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    prepare_cases([case], small_task, tmp_path / "cases")
    assert times == {file: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_the_folder_says_what_it_is_and_keeps_out_of_git(case, small_task, tmp_path):
    prepare_cases([case], small_task, tmp_path / "cases")
    assert "patient data" in (tmp_path / "cases" / "README.txt").read_text()
    assert (tmp_path / "cases" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / "cases" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    names = {path.name for path in (tmp_path / "cases").iterdir()} - {"README.txt", ".gitignore", "CACHEDIR.TAG"}
    assert len(names) == 1  # the case; no lock, no temporary
    assert "copy" not in str(names)


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r'holds other files \(such as "thesis.txt"\)'):
        CaseCache(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_files_that_change_while_they_are_read_are_not_kept(case, small_task, tmp_path):
    digest = CaseDigest.of(case)
    case.label.write_bytes(case.label.read_bytes() + b"\0\0")
    with pytest.raises(InputError, match="changed while they were read"):
        CaseCache(tmp_path / "cases").obtain(case, digest, small_task)
    assert folders(tmp_path / "cases") == []


def test_a_deleted_case_is_told_in_words_when_it_is_opened(case, small_task, tmp_path):
    prepared = prepare_cases([case], small_task, tmp_path / "cases")[0]
    (prepared.folder / "image.npy").unlink()
    with pytest.raises(InputError, match=r"image\.npy is missing or damaged"):
        prepared.image()


PROCESS = """
import json, sys
from pathlib import Path
import msgspec
from bedside.runtime.task import Task
from bedside.training.data import case_cache
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.prepared_case import PreparedCase

write, mine = case_cache._write_case, []
def counted(case, *rest):
    mine.append(case.name)
    return write(case, *rest)
case_cache._write_case = counted

cases, task, folder = json.loads(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()  # all start at once
cases = [Case(name, Path(image), Path(label)) for name, image, label in cases]
prepared = prepare_cases(cases, msgspec.convert(task, Task), Path(folder))
print(json.dumps([mine, [float(case.image().sum()) for case in prepared]]))
"""


def test_processes_that_prepare_the_same_cases_at_once_share_the_work(small_dataset, small_task, tmp_path):
    import msgspec

    cases = [*small_dataset.training, *small_dataset.validation]
    job = json.dumps(
        [[[c.name, str(c.image), str(c.label)] for c in cases], msgspec.to_builtins(small_task), str(tmp_path / "c")]
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([sys.executable, "-c", PROCESS], **pipes) for _ in range(3)]
    for each in running:
        each.stdin.write(job + "\n")
        each.stdin.flush()
    for each in running:
        assert each.stdout.readline() == "ready\n"
    results = [json.loads(each.communicate("go\n")[0]) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0]
    assert sorted(name for mine, _ in results for name in mine) == ["case0", "case1", "case2"]  # each once, by someone
    assert len({tuple(sums) for _, sums in results}) == 1
    assert len(folders(tmp_path / "c")) == 3
    assert not list((tmp_path / "c").glob("*.lock"))


def test_what_a_killed_process_left_is_taken_over(case, small_task, tmp_path):
    from bedside.training.data.case_cache import CASES_FOLDER

    cache = CaseCache(tmp_path / CASES_FOLDER)
    key = case_key(CaseDigest.of(case), small_task)
    (cache.folder / f"{key}.lock").touch()  # nobody holds it
    assert cache.obtain(case, CaseDigest.of(case), small_task).folder == cache.folder / key
    assert not (cache.folder / f"{key}.lock").exists()


def test_a_case_that_another_process_prepares_is_waited_for_and_not_prepared_twice(case, small_task, tmp_path):
    cache, digest = CaseCache(tmp_path / "cases"), CaseDigest.of(case)
    with lock_file(cache.folder / f"{case_key(digest, small_task)}.lock") as ours:
        assert ours.lock is Lock.ACQUIRED
        assert cache.obtain(case, digest, small_task) is None
    assert cache.obtain(case, digest, small_task) is not None


def test_without_locks_the_faster_process_wins_and_its_folder_is_left_alone(case, small_task, tmp_path, monkeypatch):
    from bedside.training.data import case_cache

    write, times = case_cache._write_case, {}

    def overtaken(case, task, temporary):
        monkeypatch.setattr(case_cache, "_write_case", write)
        faster = CaseCache(tmp_path / "cases").obtain(case, CaseDigest.of(case), task)  # the other process, meanwhile
        times.update({file: file.stat().st_mtime_ns for file in faster.folder.iterdir()})
        write(case, task, temporary)

    monkeypatch.setitem(sys.modules, "fcntl", None)  # importing it fails, as on Windows
    monkeypatch.setattr(case_cache, "_write_case", overtaken)
    prepared = prepare_cases([case], small_task, tmp_path / "cases")[0]
    assert times == {file: file.stat().st_mtime_ns for file in prepared.folder.iterdir()}
    assert folders(tmp_path / "cases") == [prepared.folder]


def test_a_case_that_cannot_be_opened_for_want_of_descriptors_is_not_prepared_again(
    case, small_task, tmp_path, no_descriptors
):
    cache = CaseCache(tmp_path / "cache")
    prepared = cache.obtain(case, CaseDigest.of(case), small_task)
    written = prepared.folder.stat().st_mtime_ns
    for read in (lambda: PreparedCase.open(prepared.folder), prepared.image, lambda: CaseDigest.of(case)):
        read()
        with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
            read()
    assert prepared.folder.stat().st_mtime_ns == written
