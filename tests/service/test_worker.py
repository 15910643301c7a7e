"""The worker process segments; where it ends, its job fails, and the next one gets another process."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import httpx
import numpy as np
import psutil
import pytest
from bedside.runtime import InputError, SegmentationOptions, Segmenter
from bedside.runtime.memory.memory_limit import MemoryBudget
from bedside.runtime.memory.reservations import reservations
from bedside.runtime.memory.resident import owed_bytes, resident_bytes
from bedside.service import segmenting, worker
from bedside.service.job import Job
from bedside.service.segmenting import ScanItem, Segmenting, Started
from bedside.service.worker import Worker

from ..dicom.node.parties import wait_until
from .running import API, SECONDS, many_windows, running, scan_bytes


def worker_processes(of=None):
    """The worker processes of this process, or of another one."""
    children = psutil.Process(of or os.getpid()).children(recursive=True)
    return [each for each in children if any("bedside.processes.worker" in word for word in each.cmdline())]


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_fails_its_job_alone_and_the_next_one_gets_another_process(client, by):
    before = reservations()._bytes
    (process,) = worker_processes()
    first, second = (client.post_scan(content).json() for content in (many_windows(), None))
    assert wait_until(lambda: client.get(f"{API}jobs/{first['id']}").json()["done"] > 0)
    process.send_signal(by)
    failed = client.finished(first)
    assert (failed["state"], failed["code"]) == ("failed", 5)
    assert f"its process was killed by signal {int(by)}" in failed["error"]["message"]
    assert client.finished(second)["state"] == "done"
    (other,) = worker_processes()
    assert other.pid != process.pid
    assert wait_until(lambda: reservations()._bytes == before)


def test_a_worker_that_dies_idle_costs_no_scan(client):
    (process,) = worker_processes()
    process.suspend()  # it cannot read the scan, and is not seen to have ended when the scan comes
    job = client.post_scan().json()
    given = wait_until(lambda: client.get(f"{API}jobs/{job['id']}").json()["state"] == "running")
    process.kill()
    assert given
    assert client.finished(job)["state"] == "done"
    (other,) = worker_processes()
    assert other.pid != process.pid


def test_an_idle_worker_process_that_ends_is_logged_at_once_and_once(client, caplog):
    client.finished(client.post_scan().json())
    (process,) = worker_processes()
    process.kill()
    line = "the worker process ended: its process was killed by signal 9"
    assert wait_until(lambda: line in caplog.text)
    client.finished(client.post_scan().json())
    assert caplog.text.count("the worker process ended") == 1


def test_a_worker_process_that_cannot_open_the_bundles_is_logged_with_the_reason(toy_bundle, tmp_path, caplog):
    bundle, others = shutil.copytree(toy_bundle, tmp_path / "toy.bedside"), worker_processes()
    (tmp_path / "scans").mkdir()
    with running(bundle, folder=tmp_path / "scans") as client:
        (process,) = (each for each in worker_processes() if each not in others)
        for model in bundle.glob("*.onnx"):
            model.unlink()
        process.kill()
        assert wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        failed = client.finished(client.post_scan().json())
        assert failed["state"] == "failed"
    ended, reason = (each for each in caplog.messages if "worker process" in each)
    assert ended.startswith("the worker process ended: its process was killed by signal 9")
    assert reason == f"the next worker process could not open the bundles: {failed['error']['message']}"


def test_the_memory_of_a_worker_process_that_ended_counts_until_that_of_the_next_one_does(client):
    client.finished(client.post_scan().json())
    (process,) = worker_processes()
    held, own = MemoryBudget.now(None, 0).held, process.memory_info().rss
    process.kill()
    assert wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert MemoryBudget.now(None, 0).held > held - own / 4
    assert client.finished(client.post_scan().json())["state"] == "done"
    assert owed_bytes() == 0


def test_the_memory_of_the_worker_process_counts_as_the_services(client):
    client.finished(client.post_scan().json())
    (process,) = worker_processes()
    own = psutil.Process().memory_info().rss
    assert abs(resident_bytes() - own - process.memory_info().rss) < own / 10


def start_service(bundle, folder):
    words = [sys.executable, "-m", "bedside", "serve", str(bundle), "--port", "0", "--folder", str(folder), "--json"]
    words += ["--engine", "onnxruntime", "--precision", "fp32", "--threads", "1"]
    service = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    url = service.stdout.readline().split('"')[3]
    return service, url


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_worker_process_outlives_the_service(toy_bundle, tmp_path, by, code):
    service, url = start_service(toy_bundle, tmp_path)
    with service:
        (process,) = worker_processes(service.pid)
        httpx.post(f"{url}{API}jobs", content=scan_bytes(), headers={"Content-Type": "application/octet-stream"})
        service.send_signal(by)
        assert service.wait(SECONDS) == code
    psutil.wait_procs([process], timeout=SECONDS)
    assert not process.is_running()


def test_the_label_map_stays_whatever_keeps_the_dicom_segmentation_back(tmp_path, monkeypatch):
    result = SimpleNamespace(
        save=lambda path: path.write_bytes(b"labels"), grid=SimpleNamespace(spacing=(1, 1, 1)),
        labels=np.zeros((2, 2, 2)), warnings=(), notes=(), volumes_ml={}, timings={}, engine="x", precision="fp32",
        device="CPU",
    )  # fmt: skip
    monkeypatch.setattr(segmenting, "warm_up", lambda engine: None)
    monkeypatch.setattr(segmenting, "run_planned", lambda *_, **__: result)
    with Segmenting((Source(),)).ready() as answer:
        made = answer(ScanItem("toy", tmp_path, object(), None, SegmentationOptions()), lambda *_: None)
    assert (tmp_path / "labels.nii.gz").read_bytes() == b"labels"
    (warning,) = made.warnings
    assert warning.startswith("there is no DICOM segmentation of this series: a fault in bedside (AttributeError)")
    assert (made.segmentation, made.needs_review) == (False, True)


class Opened:
    """A segmenter that is not asked for anything."""

    engine = None

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        pass


class Source:
    name = "toy"

    def open(self):
        return Opened()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("the scan is cut off"), 3, "the scan is cut off"),
        (MemoryError(), 5, "memory ran out"),
        (OSError(28, "No space left on device", "/tmp/DOE^JANE"), 5, "the system refused: No space left on device"),
        (ValueError("DOE^JANE"), 1, "a fault in bedside (ValueError)"),
    ],
)
def test_an_error_is_an_answer_without_values_of_the_scan(tmp_path, monkeypatch, error, code, words):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr("bedside.service.segmenting.warm_up", lambda engine: None)
    monkeypatch.setattr("bedside.service.segmenting.run_planned", failing)
    item = ScanItem("toy", tmp_path, tmp_path / "scan.nii", None, SegmentationOptions())
    with Segmenting((Source(),)).ready() as answer:
        assert answer(Started(), print) == Started()
        for _ in range(2):
            failure = answer(item, print)
            assert failure.code == code
            assert failure.message.startswith(words)
            assert "DOE" not in failure.message


class Named:
    name = "toy"


SLOW = """
import os, signal, time
from dataclasses import dataclass
from bedside.service.bundle_source import BundleSource

@dataclass(frozen=True, kw_only=True)
class Slow(BundleSource):
    def open(self):
        folder = self.path.parent
        if (folder / "slow").exists():
            (folder / "opening").touch()
            if (folder / "alarm").exists():
                os.kill(os.getppid(), signal.SIGALRM)
            time.sleep(60)
            (folder / "opened").touch()
        return super().open()
"""


@pytest.fixture
def slow_source(toy, tmp_path, monkeypatch):
    """A bundle that a worker process opens for a minute while there is a file "slow" beside it."""
    (tmp_path / "slow_source.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    path = toy.write_bundle(tmp_path / "toy.bedside", toy.task())
    slow = importlib.import_module("slow_source").Slow
    with Segmenter.load(path, "onnxruntime", "fp32", 1) as opened:
        source = slow.of("toy", path, None, opened)
    yield source
    del sys.modules["slow_source"]


def test_closing_ends_a_process_that_still_opens_its_bundles(slow_source, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_END_SECONDS", 0.1)
    job = Job("id", Named(), tmp_path / "job")
    with closing(Worker([slow_source])) as made:
        held = MemoryBudget.now(None, 0).held
        process = psutil.Process(made.process_id)
        own = process.memory_info().rss
        (tmp_path / "slow").touch()
        process.kill()
        assert wait_until(lambda: made.process_id is None)
        made.put(job)
        assert wait_until((tmp_path / "opening").exists)
        assert MemoryBudget.now(None, 0).held > held - own / 4
    assert not (tmp_path / "opened").exists()
    assert job.state == "failed"


def test_an_interruption_while_the_first_process_opens_its_bundles_leaves_none(slow_source, tmp_path):
    class Interrupted(BaseException):
        pass

    def interrupt(signum, frame):
        raise Interrupted

    for name in ("slow", "alarm"):
        (tmp_path / name).touch()
    others = {each.pid for each in worker_processes()}
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            Worker([slow_source])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert {each.pid for each in worker_processes()} <= others


def test_a_scan_is_cancelled_when_its_mark_or_its_folder_is_gone(tmp_path):
    job = Job("id", Named(), tmp_path / "job")
    job.folder.mkdir()
    job.scan, job.reserved = tmp_path / "scan.nii", type("Reserved", (), {"plan": None})
    item = job.item()
    assert not item.is_cancelled()
    job.cancel()
    assert item.is_cancelled()
    assert job.item().is_cancelled()
    job.folder.rmdir()
    assert item.is_cancelled()
