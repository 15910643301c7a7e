"""Which scans of a data set calibrate int8, and which are the gate's."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from bedside.export import ExportCases, ExportOptions
from bedside.runtime import Grid, write_volume
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.training.data.organ_masks import OrganMasks
from bedside.training.runs.learned_from import LearnedFrom

LABELS = {"0": "background", "1": "fat", "2": "bone"}


@pytest.fixture
def dataset(tmp_path):
    """Returns the path of a data set with cases of some names in each list, with both organs unless told otherwise."""

    def write(
        labels: dict[str, str] = LABELS,
        unmarked: tuple[str, ...] = (),
        organs: Mapping[str, tuple[int, ...]] = {},
        modality: str = "CT",
        **lists: str,
    ) -> Path:
        listing: dict[str, object] = {"labels": labels, "modality": {"0": modality}}
        for name, cases in lists.items():
            listing[name] = []
            for case in cases:
                write_pair(tmp_path, case, organs.get(case, (1, 2)))
                entry = {"image": f"{case}.nii.gz", "label": f"{case}-label.nii.gz"}
                listing[name].append({"image": entry["image"]} if case in unmarked else entry)
        (tmp_path / "dataset.json").write_text(json.dumps(listing))
        return tmp_path / "dataset.json"

    return write


def write_pair(folder: Path, case: str, organs: tuple[int, ...]) -> tuple[Path, Path]:
    """Writes a scan that no other case has, and a label map with some organs."""
    grid = Grid((4, 4, 4), np.diag([3.0, 3.0, 3.0, 1.0]))
    labels = np.zeros(grid.shape, np.uint8)
    for organ in organs:
        labels[organ] = organ
    files = folder / f"{case}.nii.gz", folder / f"{case}-label.nii.gz"
    write_volume(files[0], np.full(grid.shape, ord(case), np.int16), grid)
    write_volume(files[1], labels, grid)
    return files


def names(paths) -> str:
    return "".join(path.name[0] for path in paths)


def test_training_scans_calibrate_and_the_gate_has_the_test_list_then_the_validation_list(dataset, toy_task):
    cases = ExportCases.of_dataset(
        dataset(training="ab", validation="cd", test="efg", unmarked=("f",)), toy_task, most_gate_cases=3
    )
    assert names(cases.calibration) == "ab"
    assert names(image for image, _ in cases.gate) == "egc"  # f has no label map
    assert cases.gate[0][1].name == "e-label.nii.gz"
    assert cases.warning == "expected at least 10 gate cases, got 3: losses may not show"


def test_ten_held_out_cases_are_enough(dataset, toy_task):
    cases = ExportCases.of_dataset(dataset(training="ab", test="cdefghijklm"), toy_task, most_gate_cases=10)
    assert len(cases.gate) == 10
    assert cases.warning is None


CALIBRATES = "a gate case calibrates int8 too: its Dice says less about int8 on new scans"


def test_a_gate_case_that_calibrates_too_is_told_by_its_content_where_int8_is_written(dataset, toy_task):
    path = dataset(training="ab", validation="cdefghijkl")
    shutil.copy(path.parent / "c.nii.gz", path.parent / "a.nii.gz")

    def warning(*precisions):
        return ExportOptions(dataset=path, precisions=precisions).chosen_cases(toy_task).warning

    assert warning("fp32", "int8") == warning("uint8") == CALIBRATES
    assert warning("fp32") is None
    shutil.copy(path.parent / "b.nii.gz", path.parent / "a.nii.gz")
    assert warning("fp32", "int8") is None


def test_a_gate_case_of_a_caller_that_calibrates_too_is_told(tmp_path):
    image, labels = write_pair(tmp_path, "a", (1,))
    cases = ExportCases([str(image)], [(image, labels)])  # text and path alike
    assert str(cases.with_calibration_remark().warning).endswith(CALIBRATES)
    assert ExportCases([image]).with_calibration_remark() == ExportCases([image])


def test_no_held_out_case_is_warned_of(dataset, toy_task):
    cases = ExportCases.of_dataset(dataset(training="ab"), toy_task, most_gate_cases=1)
    assert cases.gate == ()
    assert cases.warning == "no held-out case with a label map: the bundle will carry no Dice"


def test_label_maps_of_a_gate_must_have_the_tasks_labels(dataset, toy_task):
    path = dataset({"0": "background", "1": "bone", "2": "fat"}, training="a", validation="b")
    with pytest.raises(InputError, match='label 1 is "bone" in data set'):
        ExportCases.of_dataset(path, toy_task, most_gate_cases=1)


def test_other_labels_of_scans_that_only_calibrate_are_warned_of(dataset, toy_task, caplog):
    path = dataset({"0": "background", "1": "bone", "2": "fat"}, training="a", validation="b")
    assert names(ExportCases.of_dataset(path, toy_task, most_gate_cases=0).calibration) == "a"
    assert 'label 1 is "bone" in data set' in caplog.text
    assert caplog.text.count("its scans calibrate int8 and nothing else") == 1


def test_another_modality_of_the_list_is_warned_of(dataset, toy_task, caplog):
    with caplog.at_level(logging.WARNING, "bedside.export"):
        ExportCases.of_dataset(dataset(training="a", modality="MRI"), toy_task, most_gate_cases=0)
    assert caplog.messages == [
        'the list calls its images "MRI", and task "toy" is for CT; choose a task for MR, or correct the list'
    ]


def test_the_same_scan_in_two_lists_is_one_gate_case(dataset, toy_task):
    cases = ExportCases.of_dataset(dataset(training="", test="abcde", validation="abcde"), toy_task, most_gate_cases=10)
    assert names(image for image, _ in cases.gate) == "abcde"
    assert "expected at least 10 gate cases, got 5" in cases.warning
    assert "held-out scans that are given twice or are copies of others: 5; each counts once" in cases.warning


def test_the_gate_of_a_caller_has_each_scan_once_and_those_without_organ_apart(toy_task, tmp_path):
    first, bare = write_pair(tmp_path, "a", (1, 2)), write_pair(tmp_path, "b", ())
    copy = Path(shutil.copy(first[0], tmp_path / "copy.nii.gz")), first[1]
    own = ExportCases(gate=[first, copy, bare])
    cases = ExportOptions(precisions=["fp32"], cases=own).chosen_cases(toy_task)
    assert (cases.gate, cases.without_organ) == ((first,), (bare,))
    assert "given twice or are copies of others: 1" in cases.warning


def test_a_case_without_organ_of_a_caller_has_none(toy_task, tmp_path):
    first, bare, more = (write_pair(tmp_path, *each) for each in (("a", (1, 2)), ("b", ()), ("c", (1,))))
    own = ExportCases(gate=[first, bare], without_organ=[bare])
    assert own.with_checked_gate(toy_task).without_organ == (bare,)  # given twice
    with pytest.raises(InputError, match=r"case without organ 2: its label map has an organ; expected none"):
        ExportCases(gate=[first], without_organ=[bare, more]).with_checked_gate(toy_task)
    with pytest.raises(InputError, match=r"case without organ 1: its label map has an organ"):
        ExportCases(without_organ=[more]).with_checked_gate(toy_task)
    assert ExportCases(without_organ=[bare]).with_checked_gate(toy_task).without_organ == [bare]


def test_masks_of_single_organs_are_label_maps_too():
    masks = OrganMasks((Path("fat.nii.gz"), Path("bone.nii.gz")))
    assert ExportCases(gate=[("a.nii.gz", masks)]).gate[0][1] is masks


def test_options_choose_the_data_sets_cases_or_the_callers_or_none(dataset, toy_task):
    path = dataset(training="a", test="bc")
    assert names(image for image, _ in ExportOptions(dataset=path).chosen_cases(toy_task).gate) == "bc"
    own = ExportCases(calibration=[path])
    assert ExportOptions(cases=own).chosen_cases(toy_task) is own
    assert ExportOptions(precisions=["fp32"]).chosen_cases(toy_task) == ExportCases()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration": "scan.nii.gz"}, 'calibration: expected a list of paths, got "scan.nii.gz"'),
        ({"calibration": iter(["scan.nii.gz"])}, "calibration: expected a list of paths, got a list_iterator"),
        ({"gate": ["a.nii.gz"]}, 'gate: expected a list of paths, got "a.nii.gz"'),
        ({"gate": [("a.nii.gz",)]}, r"gate: expected a list of pairs \(image, label map\)"),
        ({"ignore": "9"}, 'ignore: expected a whole number, got "9"'),
    ],
)
def test_what_is_no_list_of_paths_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ExportCases(**options)


def test_the_gates_hash_is_that_of_what_its_cases_hold(tmp_path):
    def gate(order: str, **contents: str) -> str:
        for name, content in contents.items():
            (tmp_path / name).write_text(content)
        return ExportCases(gate=[(tmp_path / name, tmp_path / f"{name}-label") for name in order]).gate_data_hash()

    pairs = {"a": "scan 1", "a-label": "liver", "b": "scan 2", "b-label": "spleen"}
    first = gate("ab", **pairs)
    assert len(first) == 64
    assert gate("ba") == first
    renamed = {"c": "scan 2", "c-label": "spleen", "d": "scan 1", "d-label": "liver"}
    assert gate("cd", **renamed) == first
    assert len({first, gate("a"), gate("ab", **{"b-label": "liver"}), ""}) == 4
    assert ExportCases().gate_data_hash() == ""


def test_another_ignore_label_makes_other_gate_cases(tmp_path):
    (tmp_path / "scan").write_text("scan")
    given = [(tmp_path / "scan", tmp_path / "scan")]
    assert ExportCases(gate=given).gate_data_hash() != ExportCases(gate=given, ignore=9).gate_data_hash()


def test_without_gate_cases_no_scan_calibrates_and_is_compared():
    scans = [Path(f"{number}.nii") for number in range(5)]
    cases = ExportCases(calibration=[*scans, scans[0]])  # one is listed twice
    assert (tuple(cases.calibrating), tuple(cases.compared)) == (tuple(scans[::2]), tuple(scans[1::2]))
    assert cases.single_scan is None
    gated = ExportCases(calibration=scans, gate=[(Path("gate.nii"), Path("label.nii"))])
    assert (gated.calibrating, gated.single_scan) == (scans, None)


def test_a_single_scan_calibrates_and_is_compared_which_is_said():
    cases = ExportCases(calibration=[Path("a.nii")])
    assert cases.calibrating == cases.compared == (Path("a.nii"),)
    assert cases.single_scan.startswith("the one scan that calibrates int8 is compared too")
    assert ExportCases().single_scan is None


def test_gate_scans_that_a_network_learned_from_or_was_chosen_by_are_told(dataset, toy_task):
    path = dataset(training="a", test="bc")
    scans = {case: file_sha256(path.parent / f"{case}.nii.gz") for case in "abc"}

    def warning(**networks: LearnedFrom) -> str:
        return str(ExportCases.of_dataset(path, toy_task, 2, networks).warning)

    few = "expected at least 10 gate cases, got 2: losses may not show"
    assert warning(student=LearnedFrom(scans=frozenset({scans["a"]}), knows_all=True)) == few
    taught = LearnedFrom(scans=frozenset({scans["b"]}), knows_all=True)
    chosen = LearnedFrom(validation_scans=frozenset({scans["c"]}), knows_all=True)
    said = warning(student=taught, locator=chosen)
    assert "1 of the 2 gate scans, or copies of them, are among those from which student learned" in said
    assert "1 of the 2 gate scans, or copies of them, are validation scans of locator, or of what taught it" in said
    assert warning(student=LearnedFrom()) == (
        f"{few}; not every scan is recorded from which student, or what taught it, learned: the gate scans are not "
        "known to be held out"
    )
