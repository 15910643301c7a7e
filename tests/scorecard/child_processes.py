"""Ten processes open one bundle at the same time and segment one scan; prints the SHA-256 of each one's labels.

Arguments: bundle, engine, processes.
"""

import hashlib
import os
import sys

import numpy as np
from bedside.runtime import Segmenter
from bedside.runtime.engines import open_engine  # noqa: F401 - loaded once, before the forks

bundle, engine, processes = sys.argv[1], sys.argv[2], int(sys.argv[3])
hu = np.random.default_rng(24).integers(-1000, 1000, (20, 15, 11)).astype(np.int16)
children = []
for _ in range(processes):
    child = os.fork()
    if child == 0:
        with Segmenter.load(bundle, engine=engine, threads=1) as segmenter:
            labels = segmenter.segment_array(hu, np.diag([3, 3, 3, 1])).labels
        os.write(1, f"{hashlib.sha256(labels.tobytes()).hexdigest()}\n".encode())
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
