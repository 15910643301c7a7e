"""A training that is killed or stopped loses one interval at most, and goes on to the result of never stopping."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHILDREN = Path(__file__).parent


def outcomes(child, *arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, CHILDREN / child, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_13_a_killed_training_loses_one_interval_at_most_and_ends_with_the_same_weights(tmp_path, trials, count):
    number = trials(200)
    count.update(outcomes("child_killed_training.py", tmp_path, str(number), "13"))
    assert count["resumed"] == count["same weights and curve"] == number
    assert count["more than one interval lost"] == 0
    assert count["checkpoints that cannot be read"] == 0
    assert count["kills"] > number / 2  # else the trial shows nothing


def test_16_a_training_asked_to_stop_in_any_phase_ends_in_time_and_resumes_to_the_same_result(tmp_path, trials, count):
    number = trials(100)
    count.update(outcomes("child_stopped_training.py", tmp_path, str(number), "16"))
    assert count["another exit code"] == 0
    assert count["longer than 30 s"] == 0
    assert count["resumed"] == count["same weights and curve"] == number
