"""Ten thousand runs take no more than one, and every run gives the same bits."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Segmenter, open_engine

from .conftest import FULL

CHILD = Path(__file__).with_name("child_soak.py")
ENGINES = ("onnxruntime", "openvino")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_19_nothing_grows_over_many_runs(bundle_path, trials, count):
    """A leak grows in every stretch of runs; a table of Python's that doubles once (2 MB) does so in one of them."""
    runs = trials(10_000)
    done = subprocess.run(
        [sys.executable, CHILD, bundle_path, "onnxruntime", str(runs)], capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    memory = [answer["bytes"] for answer in answers]
    steady = 10 * statistics.median(np.diff(memory).tolist())
    count["runs"] = runs
    count["KiB grown"] = (memory[-1] - memory[0]) // 1024
    count["KiB grown steadily"] = int(steady) // 1024
    assert steady < 0.01 * memory[0], answers
    if FULL:
        assert memory[-1] < 1.01 * memory[0], answers
    for what in ("descriptors", "threads", "python_threads"):
        assert answers[-1][what] <= answers[0][what], what


@pytest.mark.parametrize("engine", ENGINES)
def test_20_every_run_gives_the_same_bits(toy, task, tmp_path, trials, count, engine):
    """A network of random weights: any other order of sums would show in its last bits."""
    rng = np.random.default_rng(20)
    weight, bias = rng.normal(size=(3, 1, 5, 5, 5)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    model = toy.conv_model(weight, bias, task.patch.dhw)
    patch = rng.normal(size=(1, 1, *task.patch.dhw)).astype(np.float32)
    bundle = toy.write_bundle(tmp_path / "random.bedside", task, model)
    hu = rng.integers(-1000, 1000, (25, 19, 14)).astype(np.int16)
    affine = np.diag([2.1, 2.9, 3.3, 1])
    files, logits = set(), set()
    for _ in range(trials(100)):
        loaded = open_engine(engine, model, threads=2)
        logits.add(loaded.infer(patch).tobytes())
        loaded.close()
        with Segmenter.load(bundle, engine=engine, threads=2, self_test=False) as segmenter:
            segmenter.segment_array(hu, affine).save(tmp_path / "labels.nii.gz")
        files.add((tmp_path / "labels.nii.gz").read_bytes())
        count["the same bits"] += len(files) == len(logits) == 1
    assert len(logits) == 1
    assert len(files) == 1
