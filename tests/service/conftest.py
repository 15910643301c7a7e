"""A service with one toy bundle for a whole file of tests, and a gate that holds its worker."""

import threading

import pytest
from bedside.service.job import Job

from .running import running


@pytest.fixture(scope="module")
def toy_bundle(toy, tmp_path_factory):
    return toy.write_bundle(tmp_path_factory.mktemp("service") / "toy.bedside", toy.task())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scans")


@pytest.fixture(scope="module")
def client(toy_bundle, folder):
    with running(toy_bundle, folder=folder) as client:
        yield client


@pytest.fixture
def gate(monkeypatch):
    """Holds every job after its first window, until it is cancelled or the gate is set."""
    opened = threading.Event()
    real = Job.progress

    def progress(job, done, total):
        real(job, done, total)
        while not (opened.wait(0.01) or job.cancelled()):
            pass

    monkeypatch.setattr(Job, "progress", progress)
    yield opened
    opened.set()
