"""Of a training's two processes one is killed: the other ends too, with a line, and nobody is left waiting."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("child_companions.py")


def test_25_a_training_whose_other_process_is_killed_ends_in_words(tmp_path, trials, count):
    number = trials(40)
    environment = {key: value for key, value in os.environ.items() if key != "LOCAL_RANK"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, CHILD, tmp_path, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    count.update(json.loads(done.stdout))
    ends = ("first killed: exit code -9", "second killed: exit code 5", "had ended before")
    assert sum(count[end] for end in ends) == number
    assert count["without a word"] == count["processes left over"] == 0
    assert count["ms until the slowest had ended"] < 30_000
