"""A service with one toy bundle for a whole file of tests, a gate that holds its worker, and a browser."""

import gzip
import threading

import pytest
from bedside.service.job import Job

from .browser import chromium
from .running import running, scan_bytes


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


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@pytest.fixture
def scan(tmp_path):
    (path := tmp_path / "ct.nii.gz").write_bytes(gzip.compress(scan_bytes((40, 40, 40))))
    return path
