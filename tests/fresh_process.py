"""Runs a script in a process of its own, where no earlier test's memory comes or goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_fresh(script: str, *arguments: str) -> Any:
    """Runs a script that prints JSON as its last line, and returns what that says."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_at_home(script: str, home: Path) -> str:
    """Runs a script whose user has another home folder, and returns what it prints."""
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
