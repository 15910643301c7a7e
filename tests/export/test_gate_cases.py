"""Which held-out cases the gate takes: each scan once, with organs, and as many of the organs as it can."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.gate_cases import choose_gate_cases
from bedside.runtime import Grid, InputError, write_volume
from bedside.training.data.dataset import Case

FAT, BONE = 1, 2
GRID = Grid((4, 4, 4), np.diag([3.0, 3.0, 3.0, 1.0]))


@pytest.fixture
def case(tmp_path):
    """Writes a case whose scan no other name has, and whose label map has some organs."""

    def write(name: str, *labels: int, copy_of: str = "", ignore: int | None = None) -> Case:
        truth = np.zeros(GRID.shape, np.uint8)
        for plane, label in enumerate(labels):
            truth[plane] = label
        write_volume(tmp_path / f"{name}.nii", np.full(GRID.shape, ord(copy_of or name), np.int16), GRID)
        write_volume(tmp_path / f"{name}-label.nii", truth, GRID)
        return Case(name, tmp_path / f"{name}.nii", tmp_path / f"{name}-label.nii", ignore=ignore)

    return write


def names(cases) -> str:
    return "".join(image.name[0] for image, _ in cases)


def test_the_first_cases_are_taken_where_they_have_all_organs(case, toy_task):
    choice = choose_gate_cases([case("a", FAT, BONE), case("b", FAT), case("c", BONE)], toy_task, 2)
    assert (names(choice.cases), choice.remarks) == ("ab", ())


def test_a_later_case_with_an_organ_that_the_first_lack_takes_the_place_of_one(case, toy_task):
    cases = [case("a", FAT), case("b", FAT), case("c", FAT), case("d", BONE)]
    choice = choose_gate_cases(cases, toy_task, 2)
    assert names(choice.cases) == "ad"
    assert choice == choose_gate_cases(cases, toy_task, 2)
    assert names(choose_gate_cases([case("a", FAT), case("b", BONE)], toy_task, 1).cases) == "a"  # no organ is given up


def test_an_organ_that_no_case_has_is_told_of(case, toy_task):
    choice = choose_gate_cases([case("a", FAT), case("b", FAT)], toy_task, 5)
    assert choice.remarks == ("in no gate case: bone; what a variant loses of this does not show",)


def test_a_copy_under_another_name_counts_once(case, toy_task):
    choice = choose_gate_cases([case("a", FAT, BONE), case("b", FAT, BONE, copy_of="a")], toy_task, 5)
    assert names(choice.cases) == "a"
    assert choice.remarks == ("held-out scans that are given twice or are copies of others: 1; each counts once",)


def test_cases_without_an_organ_are_apart(case, toy_task):
    cases = [case("a"), case("b"), case("c", FAT, BONE)]
    choice = choose_gate_cases(cases, toy_task, 2)
    assert (names(choice.cases), names(choice.without_organ)) == ("c", "a")
    assert choice.remarks == (
        "held-out label maps without any organ: 1; they are no gate cases, and show only what a variant invents there",
    )
    assert choose_gate_cases(cases, toy_task, 1).without_organ == ()


def test_half_as_many_cases_without_an_organ_are_taken_beside_as_many_as_wanted_with_one(case, toy_task):
    cases = [case("a"), case("b", FAT, BONE), case("c"), case("d", FAT), case("e"), case("f", FAT), case("g", FAT)]
    choice = choose_gate_cases(cases, toy_task, 4)
    assert (names(choice.cases), names(choice.without_organ)) == ("bdfg", "ac")


def test_a_label_map_that_the_gate_can_do_without_may_be_refused(case, toy_task):
    wrong = case("b", FAT, 9)
    choice = choose_gate_cases([case("a", FAT), wrong, case("c", FAT)], toy_task, 1)
    assert names(choice.cases) == "a"
    assert choice.remarks[0] == "held-out label maps that are refused, and that the gate does without: 1"
    with pytest.raises(InputError, match="expected labels"):
        choose_gate_cases([case("a", FAT), wrong], toy_task, 2)


def test_placeholders_alone_make_no_gate(case, toy_task):
    choice = choose_gate_cases([case(name) for name in "abcdefghijkl"], toy_task, 10)
    assert (choice.cases, choice.without_organ) == ((), ())
    assert choice.remarks == ("of 12 held-out label maps none has an organ: the bundle will carry no Dice",)


def test_ignored_voxels_are_no_organ_and_other_labels_are_refused(case, toy_task):
    assert choose_gate_cases([case("a", 9, ignore=9)], toy_task, 1).cases == ()
    with pytest.raises(
        InputError, match=r'"a-label.nii": expected labels 0…2, got 9; .* or declare it as the ignore label'
    ):
        choose_gate_cases([case("a", FAT, 9)], toy_task, 1)
