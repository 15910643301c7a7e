"""Who gets which labels: counts that a person can check on a list of ten cases."""

import json

import nibabel
import numpy as np
import pytest
from bedside.cli.demo.divide import divide
from bedside.cli.segment.folder import find_cases
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task_presets import load_task
from bedside.training.data.dataset import load_dataset


@pytest.fixture
def listed(tmp_path):
    """Writes a data set with numbers of training, validation, test and unlabelled cases."""

    def write(training: int, validation: int = 0, test: int = 0, unlabeled: int = 0, ending=".nii.gz", **fields):
        lists: dict[str, list[dict[str, str]]] = {}
        numbers = {"training": training, "validation": validation, "test": test, "unlabeled": unlabeled}
        for name, count in numbers.items():
            for number in range(count):
                entry = {"image": f"{name}_{number}{ending}"}
                if name != "unlabeled":
                    entry["label"] = f"{name}_{number}_label.nii.gz"
                for file in entry.values():
                    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / file.lower())
                    (tmp_path / file.lower()).rename(tmp_path / file)
                lists.setdefault(name, []).append(entry)
        file = tmp_path / "list.json"
        file.write_text(
            json.dumps({"labels": {"background": 0, "liver": 1}, "channel_names": ["CT"], **lists, **fields})
        )
        return file

    return write


TASK = """
name = "liver"
modality = "CT"
labels = ["background", "liver"]
spacing = [1.0, 1.0, 1.0]
orientation = "RAS"
patch = [8, 8, 8]
[intensity]
clip = [-100, 300]
scale_to = [0, 1]
"""


def divide_list(file, out, labelled, seed):
    task = out / "task.toml"
    task.write_text(TASK)
    return divide(file, load_task(task), labelled, seed).write(out)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def names(file, part="training"):
    return {case.name for case in getattr(load_dataset(file), part)}


def test_ten_cases_give_the_teacher_eight_labels_and_the_student_two(listed, out):
    divided = divide_list(listed(10, 1, 1, 5), out, None, seed=0)
    assert (divided.teacher_cases, divided.labelled, divided.unlabelled) == (8, 2, 5)
    assert len(names(divided.teacher)) == 8
    assert names(divided.teacher) | names(divided.student) == {f"training_{i}" for i in range(10)}
    assert names(divided.student, "unlabelled") == {f"unlabeled_{i}" for i in range(5)}


def test_without_unlabelled_scans_the_student_gets_the_teachers_scans_without_their_labels(listed, out):
    divided = divide_list(listed(10, 1, 1), out, 3, seed=0)
    student = load_dataset(divided.student)
    assert {case.name for case in student.unlabelled} == names(divided.teacher)
    assert all(case.label is None for case in student.unlabelled)


def test_the_seed_chooses_the_students_cases(listed, out, tmp_path):
    file = listed(10, 1, 1)
    first = names(divide_list(file, out, 2, seed=0).student)
    chosen = []
    for seed in (0, 1, 2, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        chosen.append(names(divide_list(file, folder, 2, seed=seed).student))
    assert chosen[0] == first
    assert any(other != first for other in chosen)


def test_without_validation_and_test_cases_a_fifth_of_the_training_cases_takes_each_place(listed, out):
    divided = divide_list(listed(10), out, 1, seed=0)
    parts = [
        names(divided.teacher),
        names(divided.student),
        names(divided.student, "validation"),
        names(divided.student, "test"),
    ]
    assert [len(part) for part in parts] == [5, 1, 2, 2]
    assert len(set().union(*parts)) == 10


def test_the_unseen_scans_are_links_to_the_labelled_test_scans(listed, out, tmp_path):
    divided = divide_list(listed(4, 1, 2), out, 1, seed=0)
    links = sorted(divided.unseen.iterdir())
    assert [link.name for link in links] == ["test_0.nii.gz", "test_1.nii.gz"]
    assert links[0].resolve() == (tmp_path / "test_0.nii.gz").resolve()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII", ".Nii.GZ"])
def test_a_prediction_has_the_name_that_segment_gives_it(listed, out, ending):
    divided = divide_list(listed(4, 1, 2, ending=ending), out, 1, seed=0)
    written = {case.scan: case.output for case in find_cases(divided.unseen, out / "predictions" / "fp32")}
    assert written == {scan.image: scan.prediction(out, "fp32") for scan in divided.scans}
    assert [path.name for path in written.values()] == ["test_0.nii.gz", "test_1.nii.gz"]


def test_a_test_scan_that_segment_would_leave_out_is_refused(listed, out):
    file = listed(4, 1, 1)
    (file.parent / "test_0.nii.gz").rename(file.parent / ".test_0.nii.gz")
    file.write_text(file.read_text().replace('"test_0.nii.gz"', '".test_0.nii.gz"'))
    with pytest.raises(InputError, match=r'test case ".test_0": a name with a dot in front is that of a hidden file'):
        divide_list(file, out, 1, seed=0)


@pytest.mark.parametrize("other", ["training", "validation", "unlabeled"])
def test_a_test_scan_that_is_in_another_list_too_is_refused(listed, out, other):
    file = listed(training=4, validation=2, test=2, unlabeled=2)
    lists = json.loads(file.read_text())
    scan = {"image": lists["test"][1]["image"]} if other == "unlabeled" else lists["test"][1]
    file.write_text(json.dumps({**lists, other: [*lists[other], scan]}))
    with pytest.raises(InputError, match="also lists for training or validation: test_1; the story"):
        divide_list(file, out, None, seed=0)


def test_labels_that_are_not_the_tasks_are_refused(listed, out):
    with pytest.raises(InputError, match=r'label 1 is "spleen" in data set .* but "liver"'):
        divide_list(listed(4, 1, 1, labels={"background": 0, "spleen": 1}), out, 1, seed=0)


def test_an_ignore_label_stays_one(listed, out):
    divided = divide_list(listed(4, 1, 1, labels={"background": 0, "liver": 1, "ignore": 2}), out, 1, seed=0)
    assert load_dataset(divided.student).ignore == 2
    assert load_dataset(divided.student).labels == ("background", "liver")
    assert [scan.ignore for scan in divided.scans] == [2]


@pytest.mark.parametrize("labelled", [4, 9])
def test_the_teacher_needs_a_case(listed, out, labelled):
    with pytest.raises(UsageError, match=f"on 1 to 3 of its 4 training cases, .* got {labelled}; change --labelled"):
        divide_list(listed(4, 1, 1), out, labelled, seed=0)


def test_a_mask_for_each_organ_is_refused(tmp_path, out):
    for patient in ("a", "b", "c", "d"):
        (tmp_path / "data" / patient / "segmentations").mkdir(parents=True)
        for file in ("ct.nii.gz", "segmentations/liver.nii.gz"):
            image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
            nibabel.save(image, tmp_path / "data" / patient / file)
    with pytest.raises(InputError, match=r'case ".": expected one label map, got a mask for each organ'):
        divide_list(tmp_path / "data", out, 1, seed=0)
