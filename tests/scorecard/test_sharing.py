"""Two threads on one segmenter and ten processes on one bundle give the labels of one alone."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Segmenter

CHILD = Path(__file__).with_name("child_processes.py")
AFFINE = np.diag([3, 3, 3, 1])
ENGINES = ("onnxruntime", "openvino")
PROCESSES = 10


@pytest.mark.parametrize("engine", ENGINES)
def test_24_two_threads_share_one_segmenter(bundle_path, trials, count, engine):
    rng = np.random.default_rng(24)
    scans = [rng.integers(-1000, 1000, shape).astype(np.int16) for shape in ((20, 15, 11), (33, 10, 9))]
    with Segmenter.load(bundle_path, engine=engine, threads=1) as segmenter, ThreadPoolExecutor(2) as threads:
        expected = [segmenter.segment_array(scan, AFFINE).labels for scan in scans]
        for _ in range(trials(50)):
            both = list(threads.map(lambda scan: segmenter.segment_array(scan, AFFINE).labels, scans))
            assert all(np.array_equal(labels, alone) for labels, alone in zip(both, expected, strict=True))
            count["pairs of threads, the same labels"] += 1


@pytest.mark.parametrize("engine", ENGINES)
def test_24_ten_processes_share_one_bundle(bundle_path, trials, count, engine):
    hu = np.random.default_rng(24).integers(-1000, 1000, (20, 15, 11)).astype(np.int16)
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        expected = hashlib.sha256(segmenter.segment_array(hu, AFFINE).labels.tobytes()).hexdigest()
    for _ in range(max(1, trials(50) // PROCESSES)):
        words = [sys.executable, CHILD, bundle_path, engine, str(PROCESSES)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [expected] * PROCESSES
        count["processes, the same labels"] += PROCESSES
