"""A segmenter in processes that are forked or killed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")

FORKED = """
import os, sys
import numpy as np
from bedside.runtime import Bundle, Segmenter, UsageError

def child(work):
    number = os.fork()
    if number == 0:
        try:
            work()
        except UsageError as error:
            print(error, flush=True)
        os._exit(0)  # as multiprocessing ends its own; OpenVINO cannot be taken down without its threads
    os.waitpid(number, 0)

with Segmenter.load(sys.argv[1], engine=sys.argv[2], threads=1) as segmenter:
    scan = np.zeros((20, 20, 20)), np.diag([3.0, 3.0, 3.0, 1.0])
    scan[0][5:] = 1000
    before = segmenter.segment_array(*scan).labels
    child(lambda: segmenter.segment_array(*scan))
    child(lambda: segmenter.engine.infer(np.zeros((1, 1, *segmenter.engine.patch_dhw), np.float32)))
    child(segmenter.close)
    def again():
        with Segmenter.load(sys.argv[1], engine="onnxruntime", threads=1) as own:
            print(np.array_equal(own.segment_array(*scan).labels, before), flush=True)
    if sys.argv[2] == "onnxruntime":
        child(again)
    assert np.array_equal(segmenter.segment_array(*scan).labels, before)
    print(len(segmenter.bundle.read("README.md")))
"""


@linux
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_forked_child_is_told_and_takes_nothing_from_its_parent(bundle_path, tmp_path, engine):
    archive = tmp_path / "toy.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in bundle_path.iterdir():
            zipped.write(path, path.name)
    done = subprocess.run([sys.executable, "-c", FORKED, archive, engine], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    after = "before this process was forked; load the bundle after the fork"
    expected = [f"the segmenter was made {after}", f"the engine was opened {after}", "6"]
    if engine == "onnxruntime":
        expected.insert(2, "True")
    assert done.stdout.splitlines() == expected


FORKED_AFTERWARDS = """
import os, sys
from bedside.runtime import Segmenter, UsageError

def load():
    return Segmenter.load(sys.argv[1], engine=sys.argv[2], threads=1)

first = load()
kept = load() if sys.argv[3] == "of two" else None
if sys.argv[3] == "kept":
    kept = first
elif sys.argv[3] == "collected":
    del first
else:
    first.close()
number = os.fork()
if number == 0:
    try:
        print("6" if load().bundle.read("README.md") else "", flush=True)
    except UsageError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(number, 0)
"""


@linux
@pytest.mark.parametrize(
    ("engine", "segmenter", "refused"),
    [
        ("openvino", "closed", True), ("openvino", "collected", True), ("openvino", "of two", True),
        ("openvino", "kept", False), ("onnxruntime", "closed", False),
    ],
)  # fmt: skip
def test_a_forked_child_is_refused_where_openvino_would_wait_for_threads_of_its_parent(
    bundle_path, engine, segmenter, refused
):
    done = subprocess.run(
        [sys.executable, "-c", FORKED_AFTERWARDS, bundle_path, engine, segmenter],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("engine: OpenVINO ran in this program before the fork" if refused else "6")


@linux
def test_what_a_killed_process_unpacked_goes_with_the_next_zip(bundle_path, tmp_path):
    archive = tmp_path / "toy.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in bundle_path.iterdir():
            zipped.write(path, path.name)
    (tmp_path / "temporary").mkdir()
    code = (
        "import os, signal, sys; from bedside.runtime import Bundle;"
        "bundle = Bundle.open(sys.argv[1]); os.kill(os.getpid(), int(sys.argv[2]))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    for signal in (9, 0):  # killed, then ended in peace
        subprocess.run([sys.executable, "-c", code, archive, str(signal)], env=environment, check=False)
        assert len(list((tmp_path / "temporary").iterdir())) == (1 if signal else 0)
