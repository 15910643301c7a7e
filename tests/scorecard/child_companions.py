"""Trains with two processes, kills one of them at a random moment, and looks how the other ends.

Arguments: folder, trials. Prints one JSON object of outcomes. The second process is forked where the product would
start this script again, so that torch is loaded once.
"""

import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "training" / "loop"))
sys.path.insert(0, str(Path(__file__).parent))

from bedside.cli.main import run
from bedside.training.loop.process_watch import PROCESS_LOST
from lightning_fabric.strategies.launchers import subprocess_script
from ranks import forked, forked_helper
from stopped_training import command
from tiny_training import EPOCHS, exit_code, write_cubes, write_teacher

PATIENCE_S = 60.0


def train(folder, path, environment=None):
    """Runs the command as the process of a training that the environment says."""
    with (path / "words").open("a") as words:
        os.dup2(words.fileno(), sys.stderr.fileno())
    if environment is None:  # the first process
        subprocess_script.subprocess.Popen = forked_helper(lambda: train(folder, path, "as a helper"))
    (path / f"rank{os.environ.get('LOCAL_RANK', 0)}").write_text(str(os.getpid()))
    return run([*command(folder, path / "run"), "--devices", "2", "--workers", "2"])


def started(folder, path):
    """Starts a training; returns the first process, and the second as soon as it is there."""
    path.mkdir()
    first = forked(lambda: train(folder, path), {})
    file = path / "rank1"
    while not (file.exists() and file.read_text()):
        time.sleep(0.005)
    return psutil.Process(first), psutil.Process(int(file.read_text()))


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def last_epoch_is_done(run):
    metrics = run / "metrics.csv"
    return metrics.exists() and len(metrics.read_text().splitlines()) == 1 + EPOCHS


def wait_for(processes):
    """Seconds until all of them have ended; the patience, if some have not."""
    started_at = time.perf_counter()
    while not all(map(has_ended, processes)) and time.perf_counter() - started_at < PATIENCE_S:
        time.sleep(0.01)
    return time.perf_counter() - started_at


folder, number = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(25)
write_cubes(folder / "data")
write_teacher(folder / "teacher")
reference = started(folder, folder / "reference")
whole = wait_for(reference)
if exit_code(reference[0].pid):
    sys.exit("the reference training failed")
counts, slowest = Counter({"processes left over": 0, "without a word": 0}), 0.0
for trial in range(number):
    path = folder / f"trial{trial}"
    processes, victim = started(folder, path), trial % 2
    time.sleep(rng.uniform(0, whole))
    with suppress(psutil.NoSuchProcess):
        processes[victim].kill()
    slowest = max(slowest, wait_for(processes))
    for process in processes:
        if not has_ended(process):
            counts["processes left over"] += 1
            process.kill()
    code = exit_code(processes[0].pid)
    if last_epoch_is_done(path / "run"):  # then the other may end well
        counts["had ended before"] += 1
        continue
    counts[f"{('first', 'second')[victim]} killed: exit code {code}"] += 1
    counts["without a word"] += PROCESS_LOST not in (path / "words").read_text()
counts["ms until the slowest had ended"] = round(1000 * slowest)
print(json.dumps(counts))
