"""The cases that a sweep is scored on, and the doubts whether they are held out."""

from dataclasses import replace

import numpy as np
import pytest
from bedside.distill.sweep.scored_cases import ScoredCases
from bedside.runtime import read_labels, write_volume
from bedside.runtime.errors import InputError, UsageError


def test_without_labelled_test_cases_the_validation_cases_are_scored(cubes):
    unlabelled = tuple(replace(case, label=None) for case in cubes.dataset.test)
    assert ScoredCases.of(cubes.dataset) == ScoredCases("test", cubes.dataset.test)
    assert ScoredCases.of(replace(cubes.dataset, test=unlabelled)) == ScoredCases(
        "validation", cubes.dataset.validation
    )
    with pytest.raises(UsageError, match="a sweep has nothing to score; set some apart with --validation-fraction"):
        ScoredCases.of(replace(cubes.dataset, test=(), validation=()))


def test_cases_without_any_organ_are_refused_before_anything_trains(cubes, tmp_path):
    case = cubes.dataset.test[0]
    volume = read_labels(case.label)
    write_volume(tmp_path / "empty.nii.gz", np.zeros_like(volume.data), volume.grid)
    scored = ScoredCases("test", (replace(case, label=tmp_path / "empty.nii.gz"),))
    with pytest.raises(InputError, match="no test case has an organ in its label map, so a sweep has nothing to score"):
        scored.check(cubes.dataset.labels)


def test_networks_that_trainings_build_on_are_asked_before_these_begin(cubes, bundle_path):
    def doubts(case_list, cases, *networks):
        scored = ScoredCases(case_list, cases)
        return scored.doubts(networks, scored.check(cubes.dataset.labels))

    test = cubes.dataset.test
    assert doubts("test", test) == doubts("test", test, cubes.teacher) == ()
    (line,) = doubts("training", cubes.dataset.training, cubes.teacher)
    assert line.startswith(
        f"1 of the 1 training scans, or copies of them, are among those from which {cubes.teacher.name} learned"
    )
    (line,) = doubts("test", test, bundle_path)
    assert line.startswith(f"not every scan is recorded from which {bundle_path.name}, or what taught it, learned")


def test_that_validation_cases_chose_the_epochs_is_said_elsewhere(cubes):
    scored = ScoredCases("validation", cubes.dataset.validation)
    assert scored.doubts([cubes.teacher], scored.check(cubes.dataset.labels)) == ()
