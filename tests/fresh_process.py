"""Runs a script in a process of its own, where no earlier test's memory comes or goes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def run_fresh(script: str) -> dict[str, Any]:
    """Runs a script that prints one JSON object as its last line, and returns that object."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
