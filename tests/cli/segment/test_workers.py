"""Several processes on one folder: the same label maps, and every way to end leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import nibabel as nib
import numpy as np
import psutil
import pytest
from bedside.cli.segment import workers
from bedside.cli.segment.folder_scan import FolderScan
from bedside.cli.segment.job import SegmentJob
from bedside.cli.segment.workers import segment_in_jobs, segment_in_workers
from bedside.runtime import BundleError, SegmentationOptions
from bedside.runtime.engine_selection.engine_request import EngineRequest


@pytest.fixture
def scans(tmp_path):
    """Three fat cubes in air of 2³, 3³ and 4³ voxels."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for size in (2, 3, 4):
        hu = np.full((20, 20, 20), -1000, np.int16)
        hu[5 : 5 + size, 5 : 5 + size, 5 : 5 + size] = 0
        nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), folder / f"{size}.nii.gz")
    return folder


@pytest.fixture
def slow_scan(tmp_path):
    """A folder with one scan of a thousand windows of `slow_bundle`, ten seconds of work or more."""
    folder = tmp_path / "slow"
    folder.mkdir()
    hu = np.zeros((160, 160, 160), np.int16)
    hu[0, 0, 0] = -1000
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), folder / "slow.nii.gz")
    return folder


@pytest.fixture
def slow_bundle(toy, tmp_path):
    return toy.write_bundle(tmp_path / "slow.bedside", toy.task(patch=(60, 60, 60)))


def cases_of(scans, tmp_path):
    (tmp_path / "out").mkdir(exist_ok=True)
    return [FolderScan(scan, tmp_path / "out" / scan.name) for scan in sorted(scans.iterdir())]


def job_of(bundle_path):
    return SegmentJob(
        bundle=bundle_path,
        engine=EngineRequest(engine="onnxruntime", threads=2),
        options=SegmentationOptions(overlap=0.8),
    )


def nothing(done, total):
    pass


def test_two_workers_write_every_label_map(bundle_path, scans, tmp_path, children):
    outcomes = {
        case.scan.name: outcome
        for case, outcome in segment_in_workers(job_of(bundle_path), cases_of(scans, tmp_path), 2, nothing)
    }
    assert {name: outcome.volumes_ml["fat"] for name, outcome in outcomes.items()} == pytest.approx(
        {"2.nii.gz": 8 * 0.027, "3.nii.gz": 27 * 0.027, "4.nii.gz": 64 * 0.027}
    )
    for size in (2, 3, 4):
        assert np.asarray(nib.load(tmp_path / "out" / f"{size}.nii.gz").dataobj).sum() == size**3
    assert children() == []


def test_a_worker_that_is_killed_costs_its_scan_and_no_other(slow_bundle, scans, slow_scan, tmp_path, children):
    (slow_scan / "slow.nii.gz").rename(scans / "1slow.nii.gz")
    killed = []

    def kill(done, total):
        if total > 500 and not killed:
            (worker,) = children()
            killed.append(worker.pid)
            worker.send_signal(signal.SIGKILL)

    outcomes = {
        case.scan.name: outcome
        for case, outcome in segment_in_workers(job_of(slow_bundle), cases_of(scans, tmp_path), 1, kill)
    }
    assert outcomes["1slow.nii.gz"].exit_code == 5
    assert "killed by signal 9" in outcomes["1slow.nii.gz"].error
    assert [outcomes[f"{size}.nii.gz"].exit_code for size in (2, 3, 4)] == [0, 0, 0]


def test_a_bundle_that_is_refused_stops_all_with_its_exit_code(bundle_path, scans, tmp_path):
    (bundle_path / "model.fp32.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx") as caught:
        list(segment_in_workers(job_of(bundle_path), cases_of(scans, tmp_path), 2, nothing))
    assert caught.value.exit_code == 4


def start(bundle_path, folder, out, *words):
    arguments = ["segment", bundle_path, "-i", folder, "-o", out, "--workers", 2, "--engine", "onnxruntime", *words]
    command = [sys.executable, "-m", "bedside", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        bufsize=1,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )


def await_windows(process):
    """Reads stderr until windows are counted, and returns all processes then alive."""
    for line in process.stderr:
        if line.startswith("windows:"):
            break
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


@pytest.fixture
def two_slow(slow_scan):
    (slow_scan / "slow2.nii.gz").write_bytes((slow_scan / "slow.nii.gz").read_bytes())
    return slow_scan


@pytest.mark.parametrize(
    ("how", "code"),
    [("ctrl-C", 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_however_it_ends_no_process_and_no_part_of_a_file_is_left(slow_bundle, two_slow, tmp_path, how, code):
    process = start(slow_bundle, two_slow, tmp_path / "out", "--overlap", 0.8)
    alive = await_windows(process)
    assert len(alive) >= 3
    if how == "ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    if code > 0:
        assert (
            errors.splitlines()[-1]
            == f"bedside: error: {'interrupted' if code == 130 else 'terminated'}; nothing half-written"
        )
    _, left = psutil.wait_procs(alive, timeout=30)
    assert left == []
    lock = {"segment.lock"} if how == signal.SIGKILL else set()  # without its holder it locks nothing
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"segment.json", *lock}


def test_the_command_shares_out_a_folder(bundle_path, scans, tmp_path):
    process = start(bundle_path, scans, tmp_path / "out", "--json")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [case["name"] for case in json.loads(out)["cases"]] == ["2.nii.gz", "3.nii.gz", "4.nii.gz"]
    written = json.loads((tmp_path / "out" / "segment.json").read_text())
    assert (written["workers"], written["threads"]) == (2, None)


def test_debug_shows_the_workers_log_and_where_a_scan_failed(bundle_path, scans, tmp_path):
    (scans / "2.nii.gz").write_bytes(b"no scan")
    command = [
        sys.executable, "-m", "bedside", "--debug", "segment", bundle_path, "-i", scans, "-o", tmp_path / "out",
        "--workers", 2, "--engine", "onnxruntime", "-q",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    for number in (1, 2):
        assert re.search(rf"^worker {number}: INFO:bedside\.\S+:onnxruntime fp32 opened", done.stderr, re.MULTILINE)
    assert re.search(r'^worker 1: ERROR:bedside:a case failed: InputError\n  File "', done.stderr, re.MULTILINE)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bedside: ")]
    assert line.startswith('bedside: warning: "2.nii.gz": ')


@pytest.mark.parametrize(("device", "used"), [("auto", "CPU"), ("CUDA", "CUDA")])
def test_jobs_of_a_cluster_run_on_the_cpu_unless_a_device_is_named(bundle_path, monkeypatch, device, used):
    """One of its machines may have a GPU and another none; the label maps would depend on it."""
    monkeypatch.setattr(workers, "run_on_cluster", lambda work, cases, cluster: work.job)
    job = SegmentJob(bundle=bundle_path, engine=EngineRequest(device=device), options=SegmentationOptions())
    assert segment_in_jobs(job, [], None).engine.device == used
