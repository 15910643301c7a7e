"""Runs every command on a machine that has the device install only, and checks exit code and last line on stderr.

python benchmarks/device_install/device_commands.py BEDSIDE BUNDLE SCAN LABELS

BEDSIDE is the command of the install under test; LABELS is the label map it writes. Exits with 1 if a command that has
to work does not, or if one that needs an extra says anything but one line with the pip command.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """A command line, its correct exit codes, and the text that its last line on stderr must contain."""

    arguments: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    says: str = ""

    def holds(self, code: int, stderr: str) -> bool:
        """Whether exit code and stderr are the expected ones; an expected text must be in the only line."""
        return code in self.codes and (not self.says or (self.says in stderr and len(stderr.splitlines()) == 1))


def commands(bundle: str, scan: str, labels: str) -> list[Expected]:
    """Returns the commands to run: first those of a device, then those whose packages a device lacks."""
    works, needs_extra = (0,), (2,)
    return [
        Expected(("--help",), works),
        Expected(("--version",), works),
        Expected(("inspect", bundle, "--json"), works),
        Expected(("devices", "--json"), works),
        Expected(("segment", bundle, "-i", scan, "-o", labels, "--engine", "onnxruntime", "--json"), (0, 6)),
        Expected(("benchmark", bundle, "--network-only", "--seconds", "0.1", "--precision", "fp32", "--json"), works),
        Expected(("train-teacher", ".", "--task", "btcv", "-o", "run"), needs_extra, "bedside[train]"),
        Expected(("distill", ".", "--task", "btcv", "-o", "run"), needs_extra, "bedside[train]"),
        Expected(("export", ".", "-o", "out.bedside", "--calibration", "."), needs_extra, "bedside["),
        Expected(("demo", "-o", "demo"), needs_extra, "bedside["),
    ]


def main() -> int:
    bedside, *paths = sys.argv[1:]
    wrong = 0
    for expected in commands(*paths):
        start = time.perf_counter()
        done = subprocess.run([bedside, *expected.arguments], capture_output=True, text=True)
        right = expected.holds(done.returncode, done.stderr)
        wrong += not right
        verdict = "right" if right else "WRONG"
        seconds = time.perf_counter() - start
        print(f"{verdict}  exit {done.returncode}  {seconds:7.1f} s  bedside {expected.arguments[0]}", flush=True)
        if not right or expected.says:
            print("\n".join(f"       {line}" for line in done.stderr.splitlines()[-5:]), flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
