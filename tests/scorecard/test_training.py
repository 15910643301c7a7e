"""A training that is killed or stopped loses one interval at most, and goes on to the result of never stopping."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child_training.py")


@pytest.fixture(scope="module")
def numbers():
    """How many trials of each kind: as the fixture `trials` says, once for both tests."""
    whole = os.environ.get("BEDSIDE_TRIALS") == "full"
    return (200, 100) if whole else (10, 5)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, numbers):
    folder, environment = tmp_path_factory.mktemp("training"), os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, CHILD, folder, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_13_a_killed_training_loses_one_interval_at_most_and_ends_with_the_same_weights(outcomes, numbers, count):
    count.update(outcomes["killed"])
    assert count["resumed"] == count["same weights and curve"] == numbers[0]
    assert count["more than one interval lost"] == 0
    assert count["checkpoints that cannot be read"] == 0
    assert count["kills"] >= numbers[0]  # else the trial shows nothing


def test_16_a_training_asked_to_stop_in_any_phase_ends_in_time_and_resumes_to_the_same_result(outcomes, numbers, count):
    count.update(outcomes["stopped"])
    assert count["another exit code"] == 0
    assert count["longer than 30 s"] == 0
    assert count["resumed"] == count["same weights and curve"] == numbers[1]
