"""How long a process takes from its start to its first window, on a machine that sees the bundle first and later on.

    python benchmarks/startup/startup.py BUNDLE [--repeats 5] [-o start.md]

Every start is a process of its own; the stages are those of `bedside segment`.

- first: the cache is empty; candidates are tested and timed.
- first, settled: engine, precision and threads are named, so the one is opened and tested, and nothing is timed.
- later, compiled anew: the cache knows the choice, but what was compiled is gone.
- later: the cache is as the first start left it.

CPU seconds stand beside the seconds on the clock: on a busy machine only they mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGES = ("python", "imports", "verify", "open", "first window")


class Stages:
    """Wall and CPU seconds since the last mark; the first stage begins where the parent started this process."""

    def __init__(self, begun: float) -> None:
        self._wall, self._cpu = begun, 0.0
        self.seconds: dict[str, tuple[float, float]] = {}

    def mark(self, stage: str) -> None:
        """Ends a stage."""
        wall, cpu = time.time(), time.process_time()
        self.seconds[stage] = (wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = time.time(), time.process_time()


def start(bundle: Path, engine: str, precision: str, threads: int | None, begun: float) -> dict[str, Any]:
    """Runs the stages of `bedside segment` up to its first window; returns their seconds and the chosen engine."""
    stages = Stages(begun)
    stages.mark("python")
    import numpy as np
    from bedside.cli.segment import command  # noqa: F401 - its own imports
    from bedside.runtime.bundles.bundle import Bundle
    from bedside.runtime.engine_selection.engine_choice import open_for_bundle
    from bedside.runtime.engine_selection.engine_request import EngineRequest
    from bedside.runtime.segmenter import Segmenter  # noqa: F401

    stages.mark("imports")
    with Bundle.open(bundle) as opened:
        stages.mark("verify")
        ready = open_for_bundle(opened, EngineRequest(engine=engine, precision=precision, threads=threads))
        stages.mark("open")
        ready.engine.infer(np.zeros((1, 1, *ready.engine.patch_dhw), np.float32))
        stages.mark("first window")
    setting = ready.choice.setting
    return {
        "seconds": stages.seconds,
        "reason": ready.choice.reason,
        "settled": [setting.engine, setting.precision, str(ready.choice.threads)],
    }


def in_a_process(bundle: Path, cache: str, asked: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [sys.executable, __file__, str(bundle), "--begun", str(time.time()), "--asked", *asked]
    environment = {**os.environ, "BEDSIDE_CACHE": cache}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def best_of(repeats: int, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Returns the repetition with the fewest seconds: disturbances only add time."""
    return min((call() for _ in range(repeats)), key=lambda run: sum(wall for wall, _ in run["seconds"].values()))


def row(name: str, run: dict[str, Any]) -> str:
    pairs = [run["seconds"][stage] for stage in STAGES]
    pairs.append((sum(wall for wall, _ in pairs), sum(cpu for _, cpu in pairs)))
    return f"| {name} | " + " | ".join(f"{wall:.2f} ({cpu:.2f})" for wall, cpu in pairs) + " |"


def compare(bundle: Path, repeats: int) -> str:
    """Returns the table of all kinds of start, and the chosen engine."""

    def first(asked: tuple[str, ...] = ()) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as cache:
            return in_a_process(bundle, cache, asked)

    with tempfile.TemporaryDirectory() as cache:
        known = in_a_process(bundle, cache)
        settled = tuple(known["settled"])
        runs = {
            "first": best_of(repeats, first),
            "first, settled": best_of(repeats, lambda: first(settled)),
            "later": best_of(repeats, lambda: in_a_process(bundle, cache)),
        }
        for compiled in Path(cache).glob("*.compiled"):
            compiled.unlink()
        runs["later, compiled anew"] = best_of(repeats, lambda: in_a_process(bundle, cache))
    lines = [
        f"Seconds, of the CPUs in parentheses; the best of {repeats} starts.\n",
        "| start | " + " | ".join(STAGES) + " | to the end of the first window |",
        "|---" * (len(STAGES) + 2) + "|",
        *(row(name, run) for name, run in runs.items()),
        f"\n{known['reason']}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--asked", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.begun:
        engine, precision, threads = arguments.asked or ("auto", "auto", None)
        print(
            json.dumps(start(arguments.bundle, engine, precision, int(threads) if threads else None, arguments.begun))
        )
        return
    table = compare(arguments.bundle, arguments.repeats)
    print(table)
    if arguments.output:
        arguments.output.write_text(table + "\n")


if __name__ == "__main__":
    main()
