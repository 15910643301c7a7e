"""Sends SIGTERM to `bedside distill` in each of its phases, then resumes it; counts exit codes and results.

The command says where it is through a pipe: its progress bars and its writing of checkpoints are wrapped for that,
nothing else.
"""

import os
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
from bedside.cli.main import run
from bedside.cli.terminal.console import Console
from bedside.processes.signals import unwind_on_sigterm
from bedside.training.loop import checkpoint
from tiny_training import EPOCHS, STEPS, exit_code, forked, outcome, write_cubes, write_teacher

PHASES = ("preparing", "asking the teacher", "training", "validating", "saving")
GRACE_SECONDS = 30.0


def command(folder, path):
    words = f"distill {folder}/data/dataset.json --teacher {folder}/teacher -o {path} --student tiny --resume -q"
    length = f"--epochs {EPOCHS} --steps-per-epoch {STEPS} --warmup 0 --lr 0.01 --pictures-every 0 --device cpu"
    return [*words.split(), *length.split()]


def distil(folder, path, told):
    """The command as a process of its own runs it, telling its phase."""

    def announce(phase):
        with suppress(OSError):  # who listened has heard enough
            os.write(told, bytes([PHASES.index(phase)]))

    def bar(description):
        def advance(done, total, note=""):
            phase = next(
                phase for phase in PHASES if (note or description).replace("loss", "training").startswith(phase)
            )
            announce(phase)

        return advance

    @contextmanager
    def stages(self, *descriptions):
        yield tuple(bar(description) for description in descriptions)

    write = checkpoint.save_file

    def save_file(*arguments, **options):
        announce("saving")
        write(*arguments, **options)

    Console.stages, checkpoint.save_file = stages, save_file
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    unwind_on_sigterm()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the process ends
    return run(command(folder, path))


def trained(path):
    ready, told = os.pipe()
    child = forked(lambda: distil(path.parent, path, told))
    os.close(told)
    while os.read(ready, 4096):
        pass
    os.close(ready)
    return exit_code(child)


def stopped_in(path, phase, occurrence, delay):
    """Sends SIGTERM when the phase has been reached so many times; returns exit code and seconds until the end.

    The code is None for a training that has ended before the signal, as it can where this process waits for a core.
    """
    ready, told = os.pipe()
    child = forked(lambda: distil(path.parent, path, told))
    os.close(told)
    seen = 0
    while seen < occurrence and (heard := os.read(ready, 1)):
        seen += heard[0] == phase
    time.sleep(delay)
    started = time.perf_counter()
    had_ended = psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    os.kill(child, signal.SIGTERM)
    while os.read(ready, 4096):
        pass
    os.close(ready)
    code = exit_code(child)
    return None if had_ended else code, time.perf_counter() - started


def trials(folder: Path, number: int, rng: np.random.Generator) -> Counter[str]:
    """Returns how many trials had which outcome, and how long the slowest took to end."""
    write_cubes(folder / "data")
    write_teacher(folder / "teacher")
    if trained(folder / "reference"):
        raise RuntimeError("the reference training failed")
    expected, counts, slowest = outcome(folder / "reference"), Counter({"another exit code": 0}), 0.0
    for trial in range(number):
        path, phase = folder / f"run{trial}", trial % len(PHASES)
        times = {"preparing": 2, "asking the teacher": 2, "training": (EPOCHS - 1) * STEPS}.get(
            PHASES[phase], EPOCHS - 1
        )
        code, seconds = stopped_in(path, phase, int(rng.integers(1, times + 1)), rng.uniform(0, 0.01))
        slowest = max(slowest, seconds)
        counts[f"stopped while {PHASES[phase]}"] += code == 143
        counts["had ended before the request"] += code is None
        counts["another exit code"] += code not in (143, None)
        counts["longer than 30 s"] += seconds > GRACE_SECONDS
        counts["resumed"] += trained(path) == 0
        counts["same weights and curve"] += outcome(path) == expected
    counts["ms until the slowest had ended"] = round(1000 * slowest)
    return counts
