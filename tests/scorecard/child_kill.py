"""Kills a process that writes label maps, again and again; counts what then lies at the final path.

Arguments: folder, trials, seed. Prints one JSON object of outcomes.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bedside.runtime import Grid, read_labels, write_volume
from killed_writer import kill_a_writer

folder, trials, rng = Path(sys.argv[1]), int(sys.argv[2]), np.random.default_rng(int(sys.argv[3]))
final = folder / "labels.nii.gz"
grid = Grid((48, 48, 48), np.diag([1, 1, 1, 1]))
maps = [rng.integers(0, 14, grid.shape).astype(np.uint8) for _ in range(2)]


def write(number):
    write_volume(final, maps[number], grid)


def leftovers():
    return [path for path in folder.iterdir() if path != final]


started = time.perf_counter()
write(0)
duration = time.perf_counter() - started
counts = Counter()
for _ in range(trials):
    kill_a_writer(write, rng.uniform(0, 2 * duration), after_the_first=rng.random() < 0.5)
    labels = read_labels(final).data
    which = [number for number in range(2) if np.array_equal(labels, maps[number])]
    counts["whole" if which else "another content"] += 1
    counts["killed within a write"] += bool(leftovers())
    write(int(rng.integers(2)))
    counts["leftovers after the next write"] += len(leftovers())
print(json.dumps(counts))
