"""The teachers' probabilities of whole cases: computed once, stored beside the prepared case, shared and verified."""

import numpy as np
import pytest
import torch
from bedside.distill import cache_targets
from bedside.distill.targets import targets_key
from bedside.distill.teachers import Teachers
from bedside.runtime import UsageError
from bedside.runtime.errors import ResourceError
from bedside.runtime.files.hashing import file_sha256
from bedside.training.data.prepared_case import PreparedCase, write_arrays
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.process_group import ProcessGroup

from .toy_teacher import teacher

SHAPE = (8, 12, 16)  # one window of the toy task


@pytest.fixture
def cases(tmp_path):
    """Two cases, the second without labels."""
    made = []
    for number, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        image = np.random.default_rng(number).random(SHAPE, np.float32)
        labels = np.ones(SHAPE, np.uint8) if name == "a" else None
        write_arrays(tmp_path / name, image, labels, np.ones(SHAPE, bool), (3.0, 3.0, 3.0), (), "toy")
        made.append(PreparedCase.open(tmp_path / name))
    return made


@pytest.fixture
def teachers(task):
    return Teachers((teacher(task, 0), teacher(task, 1)))


@pytest.fixture
def group():
    return ProcessGroup(make_fabric("cpu", "32-true"))


def folders(cases, teachers):
    return [case.folder / f"teacher-{targets_key(teachers)}" for case in cases]


def test_targets_are_the_mean_of_the_teachers_probabilities(cases, teachers, task, group):
    for source in cache_targets(teachers, cases, task, group):
        image = torch.from_numpy(np.array(source.case.image()))[None, None]
        with torch.no_grad():
            each = [member.network(image).softmax(1)[0].numpy() for member in teachers.members]
        assert source.soft_labels.arrays().whole() / 255 == pytest.approx(np.mean(each, axis=0), abs=2 / 255)


def test_a_case_without_labels_is_cropped_around_what_the_teachers_found(cases, teachers, task, group):
    labelled, unlabelled = cache_targets(teachers, cases, task, group)
    assert labelled.case.counts == {1: int(np.prod(SHAPE))}
    found = unlabelled.soft_labels.arrays().whole().argmax(axis=0)
    assert unlabelled.case.counts == {label: int((found == label).sum()) for label in np.unique(found)}
    for label in unlabelled.case.present:
        assert (found.reshape(-1)[np.asarray(unlabelled.case.centres(label))] == label).all()


@pytest.mark.parametrize(("spacing", "bytes_"), [((3.0, 3.0, 3.0), 9), ((1.5, 1.5, 1.5), 8 * 5 + 4 + 4)])
def test_a_case_that_does_not_fit_into_memory_is_refused_before_the_teachers_see_one(
    cases, task, group, monkeypatch, spacing, bytes_
):
    fine = task.replaced(spacing=spacing)
    members = Teachers((teacher(fine, 0), teacher(task, 1)))
    task = task.replaced(spacing=(3.0, 3.0, 3.0))
    free = bytes_ * 3 * int(np.prod(SHAPE))
    monkeypatch.setattr(Teachers, "probabilities", lambda *_: np.full((3, *SHAPE), 1 / 3, np.float32))
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: free - 1)
    with pytest.raises(ResourceError, match=r"of 1,536 voxels in 3 classes needs about .* coarser grid, .*--spacing"):
        cache_targets(members, cases, task, group)
    assert not any(folder.exists() for folder in folders(cases, members))
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: free)
    assert len(cache_targets(members, cases, task, group)) == 2


def test_what_is_stored_is_not_computed_again(cases, teachers, task, group):
    cache_targets(teachers, cases, task, group)
    stamps = [folder.stat().st_ctime_ns for folder in folders(cases, teachers)]
    steps = []
    cache_targets(teachers, cases, task, group, progress=lambda *step: steps.append(step))
    assert [folder.stat().st_ctime_ns for folder in folders(cases, teachers)] == stamps
    assert steps == [(2, 2)]


def test_what_an_interrupted_training_has_stored_is_kept(cases, teachers, task, group, monkeypatch):
    asked, compute = [], Teachers.probabilities

    def interrupted_at_the_second(self, case, *rest):
        asked.append(case.folder.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return compute(self, case, *rest)

    monkeypatch.setattr(Teachers, "probabilities", interrupted_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        cache_targets(teachers, cases, task, group)
    assert [folder.exists() for folder in folders(cases, teachers)] == [True, False]
    cache_targets(teachers, cases, task, group)
    assert asked == ["a", "b", "b"]


def test_stored_targets_are_verified_once_however_often_a_case_is_listed(cases, teachers, task, group, monkeypatch):
    cache_targets(teachers, cases, task, group)
    hashed = []
    monkeypatch.setattr(
        "bedside.training.data.soft_labels.file_sha256", lambda file: hashed.append(file) or file_sha256(file)
    )
    assert len(cache_targets(teachers, [*cases, cases[0]], task, group)) == 3
    assert len(hashed) == len(set(hashed)) == 5  # table and blocks of both, and centres of the one without labels


def test_damaged_targets_are_computed_again(cases, teachers, task, group, caplog):
    before = [source.soft_labels.arrays().whole() for source in cache_targets(teachers, cases, task, group)]
    (folders(cases, teachers)[0] / "blocks.npy").write_bytes(b"x")
    after = [source.soft_labels.arrays().whole() for source in cache_targets(teachers, cases, task, group)]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert 'targets of "a" are computed again' in caplog.text


def test_the_key_depends_on_weights_and_windows_and_not_on_the_order(task, teachers):
    key = targets_key(teachers)
    assert targets_key(Teachers(teachers.members[::-1])) == key
    others = [
        Teachers(teachers.members[:1]),
        Teachers((teachers.members[0], teacher(task, 2))),
        Teachers((teachers.members[0], teacher(task.replaced(patch=(32, 24, 16)), 1))),
    ]
    assert len({key, *map(targets_key, others)}) == 4


def test_each_case_is_reported_before_it_is_computed(cases, teachers, task, group):
    steps = []
    cache_targets(teachers, cases, task, group, progress=lambda *step: steps.append(step))
    assert steps == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("online", [True, False])
def test_targets_that_the_disk_has_no_room_for_are_refused_before_they_are_computed(
    cases, teachers, task, group, monkeypatch, online
):
    class Usage:
        free = 10

    monkeypatch.setattr("bedside.distill.targets.shutil.disk_usage", lambda folder: Usage)
    advice = r"\(--cases\); --teacher-targets online" if online else r"\(--cases\)$"
    with pytest.raises(ResourceError, match=rf"of 2 cases need about 0\.0 MB, 0\.0 MB are free; .*{advice}"):
        cache_targets(teachers, cases, task, group, online_needs_fewer=online)
    assert not any(folder.exists() for folder in folders(cases, teachers))


@pytest.mark.parametrize(
    "changes", [{"cases": ["a"]}, {"task": None}, {"teachers": None}, {"progress": 3}, {"group": None}]
)
def test_wrong_arguments_are_refused_before_anything_is_written(cases, teachers, task, group, changes):
    given = {"teachers": teachers, "cases": cases, "task": task, "group": group, "progress": None, **changes}
    with pytest.raises(UsageError, match=next(iter(changes))):
        cache_targets(**given)
    assert not any(folder.exists() for folder in folders(cases, teachers))
