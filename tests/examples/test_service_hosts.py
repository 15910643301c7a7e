"""The hosts in C++ and C#, compiled and run against a service: labels are the runtime's, refusals have their code."""

import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Segmenter

from ..service.conftest import gate  # noqa: F401 - a fixture
from ..service.running import running, scan_bytes
from .hosts import compiled_cpp, compiled_csharp
from .scripted_service import DONE, LABELS, Script, scripted_service

TOKEN = "0123456789abcdef0123456789abcdef"
COMPILED = {"c++": compiled_cpp, "c#": compiled_csharp}


@pytest.fixture(scope="module", params=COMPILED)
def host(request, tmp_path_factory):
    return COMPILED[request.param](tmp_path_factory.mktemp("host"))


@pytest.fixture
def scan(tmp_path):
    (path := tmp_path / "ct.nii").write_bytes(scan_bytes())
    return path


@pytest.fixture
def folder(tmp_path):
    (path := tmp_path / "scans").mkdir()
    return path


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_writes_the_labels_of_the_runtime_and_leaves_no_job(host, bundle_path, tmp_path, scan, folder):
    output = tmp_path / "labels.nii.gz"
    output.write_bytes(b"an older label map")
    with running(bundle_path, token=TOKEN, folder=folder) as client:
        done = host.run(client, scan, output, BEDSIDE_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        assert host.volume in done.stdout
        assert not files(folder)
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        expected = segmenter.segment(scan)
    assert np.array_equal(np.asarray(nib.load(output).dataobj), expected.labels)


def test_refusals_end_with_the_code_of_the_family(host, bundle_path, tmp_path):
    (tmp_path / "ct.nii").write_bytes(b"x" * 1000)
    with running(bundle_path) as client:
        refused = host.run(client, tmp_path / "ct.nii", tmp_path / "labels.nii.gz")
        missing = host.run(client, tmp_path / "none.nii", tmp_path / "labels.nii.gz")
    assert (refused.returncode, missing.returncode) == (3, 3)
    assert "expected" in refused.stderr
    assert not (tmp_path / "labels.nii.gz").exists()


def test_without_the_token_it_says_so(host, bundle_path, tmp_path, scan):
    with running(bundle_path, token=TOKEN) as client:
        done = host.run(client, scan, tmp_path / "labels.nii.gz", BEDSIDE_TOKEN="wrong")
    assert done.returncode == 2
    assert "token" in done.stderr


def read_until(screen, text):
    """Reads what a program shows until a text is there; an OSError where it ends before."""
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([screen], [], [], 30)
        assert ready, shown
        shown += os.read(screen, 1000)


@contextmanager
def on_terminal(words):
    """Runs a program whose streams are a terminal: elsewhere Mono tells programs nothing of ctrl-C."""
    screen, terminal = os.openpty()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(words, **streams, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(terminal)
        try:
            yield process, screen
        finally:
            process.kill()
            os.close(screen)


def test_ctrl_c_cancels_the_job_and_leaves_nothing(host, bundle_path, tmp_path, scan, folder, gate):  # noqa: F811
    output = tmp_path / "labels.nii.gz"
    with running(bundle_path, folder=folder) as client:
        with on_terminal(host.arguments(client, scan, output)) as (process, screen):
            read_until(screen, b" windows")
            assert files(folder)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            read_until(screen, b"segment: cancelled")
        assert not files(folder)
    assert not output.exists()


def test_ctrl_c_cancels_an_upload_that_stalls(host, tmp_path, scan):
    with scan.open("ab") as file:
        file.truncate(64 * 2**20)  # more than sockets hold
    with scripted_service(Script(stalls=True)) as client:
        with on_terminal(host.arguments(client, scan, tmp_path / "labels.nii.gz")) as (process, screen):
            while not client.asked:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            read_until(screen, b"segment: cancelled")
        assert client.asked == ["POST"]


def test_it_waits_while_the_service_has_no_place(host, tmp_path, scan):
    with scripted_service(Script(refusals=2)) as client:
        done = host.run(client, scan, output := tmp_path / "labels.nii.gz")
    assert done.returncode == 0, done.stderr
    assert client.asked == ["POST", "POST", "POST", "GET events", "GET labels", *client.volumes, "DELETE"]
    assert client.bodies == [scan.read_bytes()] * 3
    assert output.read_bytes() == LABELS


def test_a_result_to_look_at_is_kept_and_has_a_code_of_its_own(host, tmp_path, scan):
    with scripted_service(Script(end={**DONE, "code": 6})) as client:
        done = host.run(client, scan, output := tmp_path / "labels.nii.gz")
    assert done.returncode == 6, done.stderr
    assert "the result is empty" in done.stdout + done.stderr
    assert output.read_bytes() == LABELS


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script(end=None), 5),
        (Script(end={**DONE, "state": "cancelled", "code": 130, "result": None}), 130),
        (Script(end={**DONE, "state": "failed", "code": 3, "result": None}), 3),
        (Script(cut_bytes=10), 5),
    ],
    ids=["the service ends", "somebody else cancels", "the scan is damaged", "the download is cut off"],
)
def test_what_goes_wrong_later_leaves_the_older_label_map_and_no_job(host, tmp_path, scan, script, code):
    output = tmp_path / "labels.nii.gz"
    output.write_bytes(b"an older label map")
    with scripted_service(script) as client:
        done = host.run(client, scan, output)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("segment: ")
    assert client.asked[-1] == "DELETE"
    assert output.read_bytes() == b"an older label map"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii", "labels.nii.gz"]


def test_a_service_that_is_not_there_is_a_resource(host, tmp_path, scan):
    with scripted_service(Script()) as client:
        pass
    done = host.run(client, scan, tmp_path / "labels.nii.gz")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
