"""A process killed while it writes leaves the old file or the new one, and the next write clears what it left."""

import json
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("child_kill.py")


def test_12_a_killed_write_leaves_the_old_file_or_the_new_one(tmp_path, trials, count):
    number = trials(500)
    done = subprocess.run([sys.executable, CHILD, tmp_path, str(number), "12"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count.update(json.loads(done.stdout))
    assert count["whole"] == number
    assert count["killed within a write"] > number / 10  # else the trial shows nothing
    assert count["leftovers after the next write"] == 0
