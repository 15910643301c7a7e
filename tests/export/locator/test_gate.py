from __future__ import annotations

from dataclasses import replace

import pytest
from bedside.export.locator.gate import LocatorFigures

DICE = {"liver": 0.95, "gallbladder": 0.8}


def figures(windows_saved=0.5, **loss):
    return LocatorFigures(without=DICE, loss={"liver": 0.0, "gallbladder": 0.0, **loss}, windows_saved=windows_saved)


@pytest.mark.parametrize("loss", [0.002, 0.0, -0.1])
def test_a_small_loss_or_a_gain_passes(loss):
    assert figures(gallbladder=loss).failure == ""


def test_a_larger_loss_of_one_organ_fails_with_its_name_and_figure():
    assert figures(gallbladder=0.01).failure == (
        "gallbladder: Dice 0.7900, 0.0100 below that of all windows (at most 0.002)"
    )


@pytest.mark.parametrize(("recall", "failure"), [(0.1, ""), (0.04, "liver: it finds 4 % of the voxels")])
def test_a_locator_that_does_not_find_an_organ_by_itself_fails(recall, failure):
    found = replace(figures(), recall={"liver": recall, "gallbladder": 0.8}).failure
    assert found.startswith(failure)
    assert bool(found) is bool(failure)


def test_a_locator_that_was_measured_on_no_organ_fails():
    untested = LocatorFigures(without={}, loss={}, windows_saved=0.9)
    assert untested.failure == "no gate case has an organ to measure its loss on"


def test_a_locator_that_saves_no_window_fails():
    assert figures(windows_saved=0.0).failure == "it saves no window of the gate cases"
