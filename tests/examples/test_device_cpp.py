"""The C++ host, compiled and run against a service: its labels are those of the runtime, refusals have their code."""

import os
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Segmenter

from ..service.running import running, scan_bytes

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "device-cpp" / "segment.cpp"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed (Debian: apt install g++ libcurl4-openssl-dev)")
    target = tmp_path_factory.mktemp("cpp") / "segment"
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-o", str(target), "-lcurl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "curl/curl.h: No such file" in done.stderr:
        pytest.skip("libcurl's headers are not installed (Debian: apt install libcurl4-openssl-dev)")
    assert done.returncode == 0, done.stderr
    return target


def run(program, client, scan, output, **environment):
    words = [str(program), str(client.base_url), str(scan), str(output)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


def test_it_writes_the_labels_of_the_runtime_and_leaves_no_job(program, bundle_path, tmp_path):
    (scan := tmp_path / "ct.nii").write_bytes(scan_bytes())
    (folder := tmp_path / "scans").mkdir()
    with running(bundle_path, token=TOKEN, folder=folder) as client:
        done = run(program, client, scan, tmp_path / "labels.nii.gz", BEDSIDE_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        assert '"bone":0.729' in done.stdout
        assert not [path for path in folder.rglob("*") if path.is_file()]
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        expected = segmenter.segment(scan)
    written = nib.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), expected.labels)


def test_refusals_end_with_the_code_of_the_family(program, bundle_path, tmp_path):
    (tmp_path / "ct.nii").write_bytes(b"x" * 1000)
    with running(bundle_path) as client:
        refused = run(program, client, tmp_path / "ct.nii", tmp_path / "labels.nii.gz")
        missing = run(program, client, tmp_path / "none.nii", tmp_path / "labels.nii.gz")
    assert (refused.returncode, missing.returncode) == (3, 3)
    assert "expected" in refused.stderr
    assert not (tmp_path / "labels.nii.gz").exists()


def test_without_the_token_it_says_so(program, bundle_path, tmp_path):
    (scan := tmp_path / "ct.nii").write_bytes(scan_bytes())
    with running(bundle_path, token=TOKEN) as client:
        done = run(program, client, scan, tmp_path / "labels.nii.gz", BEDSIDE_TOKEN="wrong")
    assert done.returncode == 2
    assert "token" in done.stderr
