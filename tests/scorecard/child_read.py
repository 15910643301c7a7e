"""Reads each NIfTI file named on stdin in a fork with 1 GB of address space; tells outcome, seconds and memory.

One JSON object per line: outcome (the error's class, or "read"), cpu_seconds, wall_seconds, extra_bytes.
"""

import json
import os
import resource
import sys
import time

from bedside.runtime import BedsideError, read_volume

CAP = 10**9


def memory(field):
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def measured(path):
    resource.setrlimit(resource.RLIMIT_AS, (CAP, CAP))
    base, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    try:
        read_volume(path)
        outcome = "read"
    except BedsideError as error:
        outcome = type(error).__name__
    return {
        "outcome": outcome,
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
        "extra_bytes": memory("VmHWM") - base,
    }


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(json.dumps(measured(line.rstrip("\n"))), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        print(json.dumps({"outcome": f"died with status {status}"}), flush=True)
