"""The worker process opens what the server opened, and nothing else."""

from types import SimpleNamespace

import pytest
from bedside.runtime.errors import BundleError
from bedside.service.bundle_source import BundleSource


@pytest.fixture
def bundle(toy, tmp_path):
    return toy.write_bundle(tmp_path / "toy.bedside", toy.task())


def source(path, **options):
    return BundleSource(name="toy", path=path, engine="onnxruntime", threads=1, **options)


def test_what_was_opened_is_opened_again(bundle, monkeypatch):
    with source(bundle.parent / ".." / bundle.parent.name / bundle.name).open() as first:
        again = source(bundle).as_opened(first)
    assert (again.engine, again.precision, again.device) == ("onnxruntime", first.engine.precision, "CPU")
    monkeypatch.chdir("/")
    with again.open() as second:
        assert second.bundle.sha256 == first.bundle.sha256
        assert second.engine.parallel <= first.engine.parallel


def test_a_bundle_that_was_replaced_is_refused(bundle, toy, tmp_path):
    with source(bundle).open() as first:
        opened = source(bundle).as_opened(first)
    other = toy.write_bundle(tmp_path / "other.bedside", toy.task(spacing=(2.0, 2.0, 2.0)))
    bundle.rename(tmp_path / "before")
    other.rename(bundle)
    with pytest.raises(BundleError, match="another bundle than when the service was started"):
        opened.open()


def test_more_windows_at_a_time_than_were_planned_become_one(tmp_path, monkeypatch):
    asked, closed = [], []

    def load(path, engine, precision, threads, *given, **options):
        asked.append(threads)
        engine = SimpleNamespace(parallel=4 if threads is None else 1)
        choice = SimpleNamespace(threads=8)
        return SimpleNamespace(engine=engine, choice=choice, close=lambda: closed.append(engine.parallel))

    monkeypatch.setattr("bedside.runtime.segmenter.Segmenter.load", load)
    opened = BundleSource(name="toy", path=tmp_path, engine="onnxruntime", precision="fp32", parallel=2).open()
    assert (asked, closed, opened.engine.parallel) == ([None, 8], [4], 1)
