"""A process killed while it writes leaves the old file or the new one, and the next write clears what it left.

So with folders; where they can only be put in place by two renames, the old one is brought back by whoever opens it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child_kill.py")
FOLDER_CHILD = Path(__file__).with_name("child_kill_folder.py")


def test_12_a_killed_write_leaves_the_old_file_or_the_new_one(tmp_path, trials, count):
    number = trials(500)
    done = subprocess.run([sys.executable, CHILD, tmp_path, str(number), "12"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count.update(json.loads(done.stdout))
    assert count["whole"] == number
    assert count["killed within a write"] > number / 10  # else the trial shows nothing
    assert count["leftovers after the next write"] == 0


@pytest.mark.parametrize("how", ["exchanged", "two renames"])
def test_12_a_killed_replacement_leaves_the_old_folder_or_the_new_one(tmp_path, trials, count, how):
    number = trials(200)
    command = [sys.executable, FOLDER_CHILD, tmp_path, str(number), "12", how]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count.update(json.loads(done.stdout))
    assert count["whole"] == number
    assert count["leftovers after the next write"] == 0
    assert count["killed within a write"] > number / 10  # else the trial shows nothing
    if how == "exchanged":
        assert count["missing until brought back"] == 0
    elif number >= 100:
        assert count["missing until brought back"] > 0  # the moment it is about was hit
