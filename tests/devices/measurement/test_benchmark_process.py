"""A bundle's variant in its process: start, windows, scans, and no torch."""

import subprocess
import sys

import numpy as np
import pytest
from bedside.devices.measurement.benchmark_process import BenchmarkRequest
from bedside.runtime.errors import BundleError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume


def request(bundle, **options):
    return BenchmarkRequest(str(bundle), "onnxruntime", "fp32", "CPU", threads=1, **options)


def test_a_session_starts_and_runs_windows(tiny_bundle):
    with request(tiny_bundle).session() as session:
        cold = session.start(None, None)
        assert cold.total_s == pytest.approx(cold.open_bundle_s + cold.load_engine_s + cold.first_window_s)
        assert session.window()().shape == (1, 3, 16, 16, 16)


def test_the_self_test_passes_the_golden_patch_and_refuses_another_result(tiny_bundle, task, toy, tmp_path):
    with request(tiny_bundle).session() as session:
        session.start(None, None)
        session.self_test()
    wrong = toy.write_bundle(tmp_path / "wrong.bedside", task, golden_shift=100.0)
    with request(wrong).session() as session:
        session.start(None, None)
        with pytest.raises(BundleError, match="self-test with onnxruntime fp32 failed on this machine"):
            session.self_test()


def test_the_compiled_network_is_kept_and_opened_again(tiny_bundle, tmp_path):
    asked = BenchmarkRequest(str(tiny_bundle), "openvino", "fp32", "CPU", threads=1)
    with asked.session() as session:
        session.start(None, tmp_path / "compiled")
    assert (tmp_path / "compiled").stat().st_size > 0
    with asked.session() as session:
        session.start(tmp_path / "compiled", None)
        assert session.window()().shape == (1, 3, 16, 16, 16)


def test_after_scans_the_network_opens_again(tiny_bundle, tmp_path):
    body = np.full((20, 18, 10), 40, np.int16)
    body[5:9, 5:9, 3:7] = 500
    write_volume(tmp_path / "ct.nii.gz", body, Grid(body.shape, np.diag([10.0, 10.0, 20.0, 1.0])))
    with request(tiny_bundle, input=str(tmp_path / "ct.nii.gz")).session() as session:
        session.start(None, None)
        session.open_scans()
        assert session.scan(lambda share: None).shape == (20, 18, 10)
        assert session.window()().shape == (1, 3, 16, 16, 16)


def test_a_session_without_a_scan_segments_none(tiny_bundle):
    with request(tiny_bundle).session() as session, pytest.raises(UsageError, match="with a scan"):
        session.scan(lambda share: None)


def test_the_benchmark_process_brings_no_torch() -> None:
    code = "import sys, bedside.devices.measurement.benchmark_process; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
