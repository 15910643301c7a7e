"""The scores of a run on held-out cases."""

import shutil
from dataclasses import replace

import pytest
import torch
from bedside.distill import load_student
from bedside.distill.sweep import scoring
from bedside.distill.sweep.scoring import RunScorer
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import read_labels
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.validate import segment_scan
from bedside.training.runs.run import Run
from bedside.training.scores.metrics import dice_per_class

CPU = torch.device("cpu")


@pytest.fixture
def run(cubes, tmp_path):
    """A copy of the run, without scores."""
    return Run.open(shutil.copytree(cubes.teacher, tmp_path / "run"))


@pytest.fixture
def segmented(monkeypatch):
    """Counts the scans that are segmented."""
    scans = []

    def counted(model, scan, *given, **options):
        scans.append(scan.name)
        return segment_scan(model, scan, *given, **options)

    monkeypatch.setattr(scoring, "segment_scan", counted)
    return scans


def test_the_scores_are_those_of_the_label_maps_on_the_scans_own_grid(cubes, run):
    found = RunScorer.of(cubes.dataset.test, CPU).scores(run.path)
    model = load_student(run.path).model
    for case in cubes.dataset.test:
        labels, _ = segment_scan(model, case.image, cubes.task, overlap=0.5, device=CPU)
        expected = dice_per_class(labels, read_labels(case.label).data, 2)[1]
        assert found.scores[case.name, "cube"].dice == pytest.approx(expected, abs=1e-6)
    assert (run.path / "scores.csv").read_text().startswith("case,label,organ,dice,nsd,hd95_mm,tolerance_mm,")


def test_scores_are_computed_again_only_if_weights_or_cases_change(cubes, run, segmented):
    scorer = RunScorer.of(cubes.dataset.test, CPU)
    first = scorer.scores(run.path)
    assert len(segmented) == 2
    assert scorer.scores(run.path) == first
    assert len(segmented) == 2
    model = load_student(run.path).model
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    save_weights(run.best, model)
    scorer.scores(run.path)
    assert len(segmented) == 4
    RunScorer.of(cubes.dataset.test[:1], CPU).scores(run.path)
    assert len(segmented) == 5


def test_a_case_that_was_renamed_has_its_new_name_in_the_scores(cubes, run):
    first, second = cubes.dataset.test
    name = f"{first.name}-renamed"  # in the same place of the order
    before = RunScorer.of((first, second), CPU).scores(run.path)
    found = RunScorer.of((replace(first, name=name), second), CPU).scores(run.path)
    assert found.cases == (name, second.name)
    assert found.scores[name, "cube"] == before.scores[first.name, "cube"]


def test_an_interrupted_scoring_leaves_no_scores(cubes, run):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunScorer.of(cubes.dataset.test, CPU).scores(run.path, interrupt)
    assert not list(run.path.glob("scores*"))


def test_scores_of_other_cases_are_not_taken_for_these_where_storing_them_was_interrupted(cubes, run, monkeypatch):
    first, second = (RunScorer.of((case,), CPU) for case in cubes.dataset.test)
    before = first.scores(run.path)

    def interrupt(path):
        assert path.name == "scores.json"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "atomic_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            second.scores(run.path)
    assert first.scores(run.path) == before


def test_a_case_without_a_label_map_is_refused(cubes, run):
    case = replace(cubes.dataset.test[0], label=None)
    with pytest.raises(InputError, match="expected a label map to score against"):
        RunScorer.of((case,), CPU).scores(run.path)
