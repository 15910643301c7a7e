"""Segments one file under a memory limit; tells the most this process ever held, and the labels' hash.

Arguments: bundle, scan, limit in bytes (0 for none). Prints one JSON object.
"""

import hashlib
import json
import sys
from pathlib import Path

from bedside.runtime import Segmenter

bundle, scan, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1, memory_limit=limit or None) as segmenter:
    labels = segmenter.segment(scan).labels
status = Path("/proc/self/status").read_text()
peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
digest = hashlib.sha256()
for plane in labels.T:  # contiguous as it lies in memory: nothing is copied
    digest.update(plane)
print(json.dumps({"peak": peak, "labels": digest.hexdigest()}))
