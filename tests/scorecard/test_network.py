"""No command reaches the internet: the kernel forbids it (`make test`), strace looks (the scorecard)."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from .conftest import FULL

CHILD = Path(__file__).with_name("child_offline.py")
INTERNET = re.compile(r"(?:connect|send\w+)\(.*\bAF_INET6?\b")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp and strace are Linux's")


@pytest.fixture
def commands(bundle_path, tmp_path):
    """Every command of the device, as words after ``bedside``."""
    hu = np.random.default_rng(23).integers(-1000, 1000, (14, 12, 10)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    nib.save(nib.Nifti1Image((hu > 0).astype(np.uint8), np.diag([3, 3, 3, 1])), tmp_path / "truth.nii.gz")
    segment = ["segment", bundle_path, "-i", tmp_path / "ct.nii.gz", "-o", tmp_path / "labels.nii.gz", "--engine"]
    return [
        [*segment, "openvino"],
        [*segment, "onnxruntime"],
        ["inspect", bundle_path],
        ["devices"],
        ["benchmark", bundle_path, "--seconds", "0.1"],
        ["evaluate", "-p", tmp_path / "truth.nii.gz", "-t", tmp_path / "truth.nii.gz", "--labels", "organ"],
        ["phantom", tmp_path / "phantoms", "--cases", "1"],
        ["--version"],
        ["--help"],
    ]


def bedside(words):
    return [sys.executable, "-m", "bedside", *map(str, words)]


def offline(words):
    return subprocess.run([sys.executable, str(CHILD), *words], capture_output=True, text=True, timeout=300)


def traced(words, log):
    """Runs a command and its children; returns its exit code and the network calls that concern the internet."""
    done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=network", "-o", log, *words], capture_output=True)
    return done.returncode, [line for line in log.read_text().splitlines() if INTERNET.search(line)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("socket(AF_INET).connect(('127.0.0.1', 9))", -signal.SIGSYS),
        ("socket(AF_INET6, SOCK_DGRAM).connect(('::1', 9))", -signal.SIGSYS),
        ("socket(AF_INET, SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))", -signal.SIGSYS),
        ("socket(AF_INET, SOCK_DGRAM).sendmsg([b''], [], 0, ('127.0.0.1', 9))", -signal.SIGSYS),
        ("socket(AF_INET, SOCK_DGRAM).bind(('127.0.0.1', 0))", 0),
        ("socket(AF_UNIX).connect_ex('/nowhere')", 0),
    ],
)
def test_23_reaching_out_is_fatal_here(words, expected):
    assert offline([sys.executable, "-c", f"from socket import *; {words}"]).returncode == expected


def test_23_the_devices_commands_do_without(commands, trials, count):
    for words in commands[: max(3, trials(len(commands)))]:
        done = offline(bedside(words))
        assert done.returncode in (0, 6), (words, done.returncode, done.stderr)
        count["commands without network"] += 1


@pytest.mark.skipif(not FULL, reason="takes minutes; make scorecard")
def test_23_strace_sees_no_call_to_the_internet(commands, tmp_path, count):
    assert shutil.which("strace"), "install strace (apt install strace): it is what this trial looks with"
    control = [sys.executable, "-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"]
    assert traced(control, tmp_path / "log")[1]
    short = ["--cases", "6", "--teacher-epochs", "1", "--student-epochs", "1", "--steps-per-epoch", "1"]
    for words in [*commands, ["demo", "-o", tmp_path / "demo", *short]]:
        code, calls = traced(bedside(words), tmp_path / "log")
        assert code in (0, 6), words
        assert calls == [], words
        count["commands without a call"] += 1


LIVES_ON = """
import sys, time
import numpy as np
from bedside.runtime import open_engine
engine = open_engine(sys.argv[1], open(sys.argv[2], "rb").read(), threads=1)
engine.infer(np.zeros((1, 1, *engine.patch_dhw), np.float32))
time.sleep(25)
"""


@pytest.mark.skipif(not FULL, reason="waits for what libraries send after a while; make scorecard")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_23_a_process_that_lives_on_sends_nothing_later(bundle_path, tmp_path, count, engine):
    words = [sys.executable, "-c", LIVES_ON, engine, str(bundle_path / "model.fp32.onnx")]
    assert traced(words, tmp_path / "log") == (0, [])
    count["nothing sent within 25 s"] += 1


def test_23_the_telemetry_of_onnx_runtime_is_off_before_it_is_loaded():
    asks = "import os, sys, bedside; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "False"]
