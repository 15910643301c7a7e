"""The teacher's probabilities of whole cases: computed once, stored in half precision, kept."""

import numpy as np
import pytest
import torch
from bedside.distill import cache_targets
from bedside.runtime import UsageError
from bedside.training.data.prepared_case import PreparedCase, write_arrays
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run, RunConfig

SHAPE = (8, 12, 16)  # one window of the toy task


@pytest.fixture
def cache(tmp_path, task):
    """Caches the targets of two cases; returns what `cache_targets` does."""
    torch.manual_seed(0)
    teacher = torch.nn.Conv3d(1, 3, 1)
    model = ModelConfig(kind="student", name="toy")
    run = Run.create(
        tmp_path / "run",
        RunConfig(model=model, task=task, recipe=Recipe(), dataset="toy", data_hash="0" * 64),
        resume=False,
    )
    cases = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        image = np.random.default_rng(len(cases)).random(SHAPE, np.float32)
        labels = np.ones(SHAPE, np.uint8)
        write_arrays(tmp_path / name, image, labels, labels > 0, (3.0, 3.0, 3.0), (), "toy")
        cases.append(PreparedCase.open(tmp_path / name))

    def call(**changes):
        group = ProcessGroup(make_fabric("cpu", "32-true"))
        given = {"teacher": teacher, "cases": cases, "run": run, "group": group, "overlap": 0.0, **changes}
        return cache_targets(**given), teacher, run

    return call


def test_targets_are_the_teachers_probabilities_of_each_case(cache):
    sources, teacher, run = cache()
    assert [path.name for path in sorted(run.targets.iterdir())] == ["a.npy", "b.npy"]
    for source, name in zip(sources, "ab", strict=True):
        stored = np.load(run.targets / f"{name}.npy")
        assert (stored.dtype, stored.shape) == (np.float16, (3, *SHAPE))
        with torch.no_grad():
            expected = teacher(torch.from_numpy(np.array(source.case.image()))[None, None]).softmax(1)[0]
        assert stored == pytest.approx(expected.numpy(), abs=1e-3)


def test_what_is_stored_is_not_computed_again(cache):
    _, _, run = cache()
    np.save(run.targets / "a.npy", np.zeros(1))
    steps = []
    cache(progress=lambda *step: steps.append(step))
    assert np.load(run.targets / "a.npy").shape == (1,)
    assert steps == [(2, 2)]


def test_each_case_is_reported_before_it_is_computed(cache):
    steps = []
    cache(progress=lambda *step: steps.append(step))
    assert steps == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("changes", [{"overlap": 1.0}, {"cases": ["a"]}, {"teacher": None}, {"progress": 3}])
def test_wrong_arguments_are_refused_before_anything_is_written(cache, changes, tmp_path):
    with pytest.raises(UsageError, match=next(iter(changes))):
        cache(**changes)
    assert not (tmp_path / "run" / "targets").exists()
