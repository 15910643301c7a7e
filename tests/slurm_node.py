"""A SLURM of one node in a temporary folder, for tests of clusters; see `.ci/slurm`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "slurm"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory):
    """Starts SLURM and returns the path of its configuration; skips where it is not installed."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"SLURM: {', '.join(missing) or 'root'} is missing")
    folder = tmp_path_factory.mktemp("slurm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BEDSIDE_SLURM_PORT": str(port)}
    started = subprocess.run([SCRIPT, "start", folder], env=environment, capture_output=True, text=True, timeout=120)
    assert started.returncode == 0, started.stderr
    yield folder / "slurm.conf"
    subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)


@pytest.fixture(params=["local", "slurm"])
def scheduler(request, monkeypatch):
    """Names a scheduler whose jobs can import what this process can."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    if request.param == "slurm":
        monkeypatch.setenv("SLURM_CONF", str(request.getfixturevalue("slurm_conf")))
    return request.param
