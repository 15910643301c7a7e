"""A run keeps what it learned from; runs that predate this say less."""

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.loop.checkpoint import save_weights
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run

SCANS = frozenset({"ab" * 32, "cd" * 32})


@pytest.fixture
def run(tmp_path, config):
    made = Run.create(tmp_path / "run", config, resume=False)
    made.start()
    return made


@pytest.mark.parametrize("knows_all", [True, False])
def test_a_run_keeps_its_scans(run, knows_all):
    validated = frozenset({"ef" * 32})
    LearnedFrom(scans=SCANS, knows_all=knows_all, validation_scans=validated).keep(run)
    kept = LearnedFrom.of_run(Run.open(run.path))
    assert (kept.scans, kept.knows_all, kept.validation_scans) == (SCANS, knows_all, validated)
    assert (kept.dataset, kept.data_hash) == (run.config.dataset, run.config.data_hash)


def test_a_run_without_a_record_knows_its_data_set_alone(run):
    found = LearnedFrom.of_run(run)
    assert found == LearnedFrom(run.config.dataset, run.config.data_hash, run.config.validation_hash)
    assert not found.knows_all


def test_a_record_of_before_validation_scans_were_kept_does_not_name_them(run):
    (run.path / "learned_from.json").write_text('{"sha256": [], "complete": true}')
    found = LearnedFrom.of_run(run)
    assert (found.knows_all, found.validation_scans) == (True, None)


@pytest.mark.parametrize(("with_offsets", "has"), [(None, False), (0.5, False), (0.6, True)])
def test_a_run_knows_whether_its_class_offsets_were_fitted_to_the_validation_cases(run, with_offsets, has):
    """A search that finds none that raise the Dice keeps the Dice."""
    save_weights(run.best, torch.nn.Linear(1, 1), about=BestWeights(0, 0.5, ClassOffsetsRecord(1, with_offsets)))
    assert LearnedFrom.of_run(run).class_offsets is has


def test_a_resumed_run_keeps_the_record_that_it_began_with(run):
    LearnedFrom(scans=SCANS, knows_all=True).keep(run)
    LearnedFrom(scans=frozenset(), knows_all=False).keep(run)
    assert LearnedFrom.of_run(run).scans == SCANS


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 3, "complete": true}', '{"sha256": []}'])
def test_a_record_that_cannot_be_read_is_refused(run, content):
    (run.path / "learned_from.json").write_text(content)
    with pytest.raises(InputError, match=r'learned_from.json in "run" cannot be read: .*; restore it from a backup'):
        LearnedFrom.of_run(run)
