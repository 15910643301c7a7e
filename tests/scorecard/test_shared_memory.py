"""A training in a container as it comes, with next to no shared memory: it does not need any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child_shared_memory.py")
SMALL = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'


def with_little_shared_memory(command):
    """The command in a mount namespace of its own, as root there."""
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", SMALL, "sh", *map(str, command)]


@pytest.fixture
def namespace():
    try:
        probe = subprocess.run(with_little_shared_memory(["true"]), capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare on this machine: a small /dev/shm needs a mount namespace")
    if probe.returncode:
        pytest.skip(f"no mount namespace for a small /dev/shm to be had here: {probe.stderr.strip()}")


@pytest.mark.usefixtures("namespace")
def test_25_training_with_loading_threads_does_without_shared_memory(tmp_path, trials, count):
    number = trials(100)
    command = with_little_shared_memory([sys.executable, CHILD, tmp_path, number])
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    count.update(json.loads(done.stdout))
    assert count["bytes of shared memory"] == 65536
    assert count["exit code 0"] == count["same weights and curve"] == number
    assert count["processes left over"] == 0
