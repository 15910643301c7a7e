"""Kills a process that replaces a folder, again and again; counts what then lies at the final path.

Arguments: folder, trials, seed, "exchanged" or "two renames". Prints one JSON object of outcomes.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bedside.runtime.files import folder_replacement
from bedside.runtime.files.atomic import atomic_directory
from killed_writer import kill_a_writer

folder, trials, rng = Path(sys.argv[1]), int(sys.argv[2]), np.random.default_rng(int(sys.argv[3]))
final = folder / "toy.bedside"
FILES = 4


def write(number):
    with atomic_directory(final, marker="0") as temporary:
        for file in range(FILES):
            (temporary / str(file)).write_bytes(b"%d" % number * 1000)


def whole(path):
    """The number that every file of the folder holds; None where they differ or one is missing."""
    contents = {file.read_bytes() for file in path.iterdir()}
    return int(contents.pop()[:1]) if len(contents) == 1 and len(list(path.iterdir())) == FILES else None


def slowly(real):
    """The moment between the two renames takes microseconds: stretched, so that kills hit it."""

    def replace(self, target):
        moved = real(self, target)
        time.sleep(0.01)
        return moved

    return replace


if sys.argv[4] == "two renames":
    folder_replacement.exchange = lambda *_: False
    Path.replace = slowly(Path.replace)

started = time.perf_counter()
write(0)
write(1)
duration = (time.perf_counter() - started) / 2
counts = Counter()
for _ in range(trials):
    kill_a_writer(write, rng.uniform(0, 2 * duration))
    counts["missing until brought back"] += not final.exists()
    folder_replacement.restore_moved_folder(final)
    counts["whole" if final.exists() and whole(final) is not None else "another content"] += 1
    counts["killed within a write"] += len(list(folder.iterdir())) > 1
    write(int(rng.integers(2)))
    counts["leftovers after the next write"] += len(list(folder.iterdir())) - 1
print(json.dumps(counts))
