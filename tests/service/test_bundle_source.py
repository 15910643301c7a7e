"""The worker process opens what the server opened, and nothing else."""

import pickle

import pytest
from bedside.runtime import Segmenter
from bedside.runtime.engine_selection.trials import EngineTrials
from bedside.runtime.errors import BundleError
from bedside.service.bundle_source import BundleSource


@pytest.fixture
def bundle(toy, tmp_path):
    return toy.write_bundle(tmp_path / "toy.bedside", toy.task())


def test_what_was_opened_is_opened_again(bundle, monkeypatch):
    with Segmenter.load(bundle, "onnxruntime", threads=1, memory_limit=2**40) as first:
        again = BundleSource.of("toy", bundle.parent / ".." / bundle.parent.name / bundle.name, None, first)
    monkeypatch.chdir("/")
    with pickle.loads(pickle.dumps(again)).open() as second:
        assert second.bundle.sha256 == first.bundle.sha256
        assert second.choice == first.choice
        assert (second.engine.precision, second.engine.parallel) == (first.engine.precision, first.engine.parallel)
        assert second.model.memory_limit == 2**40


def test_a_bundle_that_was_replaced_is_refused(bundle, toy, tmp_path):
    with Segmenter.load(bundle, "onnxruntime", threads=1) as first:
        opened = BundleSource.of("toy", bundle, None, first)
    other = toy.write_bundle(tmp_path / "other.bedside", toy.task(spacing=(2.0, 2.0, 2.0)))
    bundle.rename(tmp_path / "before")
    other.rename(bundle)
    with pytest.raises(BundleError, match="another bundle than when the service was started"):
        opened.open()


@pytest.mark.parametrize("cache", ["on", "off"])
def test_only_the_first_opening_measures(bundle, tmp_path, monkeypatch, cache):
    """The worker process would wait for others that measure, and might choose what takes more memory than planned."""
    measured, fastest = [], EngineTrials.fastest

    def noted(trials, settings, streams):
        measured.append(settings)
        return fastest(trials, settings, streams)

    monkeypatch.setattr(EngineTrials, "fastest", noted)
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache") if cache == "on" else "off")
    with Segmenter.load(bundle) as first:
        opened = BundleSource.of("toy", bundle, None, first)
    with opened.open() as second:
        assert second.choice == first.choice
    assert len(measured) == 1
