"""Segments one array again and again; tells what the process holds after each tenth of the runs.

Arguments: bundle, engine, runs. Prints one JSON list of eleven objects.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from bedside.runtime import Segmenter

bundle, engine, runs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(19)
scans = [rng.integers(-1000, 1000, shape).astype(np.int16) for shape in ((16, 12, 8), (9, 7, 5), (15, 11, 8))]


def tasks():
    """Threads of this process; for a moment the kernel may still list one that was joined."""
    seen = []
    for _ in range(10):
        seen.append(len(list(Path("/proc/self/task").iterdir())))
        time.sleep(0.01)
    return min(seen)


def held():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": tasks(),
        "python_threads": threading.active_count(),
    }


def run(segmenter, number):
    for index in range(number):
        segmenter.segment_array(scans[index % 3], np.diag([3, 3, 3, 1]))


with Segmenter.load(bundle, engine=engine, threads=1) as segmenter:
    run(segmenter, runs // 5)  # caches and arenas fill
    answers = [held()]
    for _ in range(10):
        run(segmenter, runs // 10)
        answers.append(held())
print(json.dumps(answers))
