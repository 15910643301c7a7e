"""Windows and seconds of scans with and without a bundle's locator, in one interleaved run.

    python benchmarks/locator/locator.py BUNDLE SCAN … [--long SCAN --planes 824] [--repeat 3] [--threads 1]
        [--cpu-time] -o table.md

README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bedside.runtime import Segmenter, Volume, read_volume
from long_scan import lengthened


@dataclass(frozen=True)
class Measured:
    """One scan.

    Attributes:
        name: name of the scan.
        shape: its voxels.
        windows: windows run with all windows, and with the locator.
        seconds: median time with all windows, and with the locator, from the scan in memory to the label map.
        differing: fraction of the voxels with another label.
    """

    name: str
    shape: tuple[int, int, int]
    windows: tuple[int, int]
    seconds: tuple[float, float]
    differing: float

    @property
    def row(self) -> str:
        """A line of the table."""
        (all_windows, fewer), (slow, fast) = self.windows, self.seconds
        size = "×".join(str(count) for count in self.shape)
        windows = f"{all_windows} | {fewer} | {all_windows / max(fewer, 1):.1f}"
        return (
            f"| {self.name}, {size} | {windows} | {slow:.1f} | {fast:.1f} | {slow / fast:.1f} | {self.differing:.5f} |"
        )


HEAD = (
    "| scan | windows | with locator | times fewer | s | with locator | times faster | labels that differ |\n"
    "| -- | -- | -- | -- | -- | -- | -- | -- |"
)


def measured(
    segmenter: Segmenter, name: str, scan: Volume, repeat: int, clock: Callable[[], float] = time.perf_counter
) -> Measured:
    """Segments a scan with and without the locator, in turns.

    Args:
        segmenter: the bundle, opened.
        name: name of the scan in the table.
        scan: the scan.
        repeat: how often each way is measured.
        clock: returns seconds: `time.perf_counter`, or `time.process_time` for those of the processor.
    """
    seconds: dict[bool, list[float]] = {False: [], True: []}
    results = {}
    for _ in range(repeat):
        for use in seconds:
            start = clock()
            results[use] = segmenter.segment(scan, use_locator=use)
            seconds[use].append(clock() - start)
    slow, fast = (statistics.median(seconds[use]) for use in (False, True))
    differing = float((results[False].labels != results[True].labels).mean())
    windows = results[False].windows, results[True].windows
    return Measured(name, tuple(scan.grid.shape), windows, (slow, fast), differing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("scans", type=Path, nargs="*")
    parser.add_argument("--long", type=Path, help="scan to lengthen")
    parser.add_argument("--planes", type=int, default=824)
    parser.add_argument("--step-mm", type=float, default=1.0, help="distance of these planes")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds, for a machine that others use too")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    clock = time.process_time if given.cpu_time else time.perf_counter
    scans = [(path.name, path) for path in given.scans]
    with Segmenter.load(given.bundle, threads=given.threads) as segmenter:
        if segmenter.bundle.manifest.locator is None:
            raise SystemExit(f"{given.bundle.name} has no locator; export it with --locator")
        rows = [measured(segmenter, name, read_volume(path), given.repeat, clock).row for name, path in scans]
        if given.long is not None:
            scan = lengthened(read_volume(given.long), given.planes, given.step_mm)
            rows.append(measured(segmenter, f"{given.long.name}, lengthened", scan, given.repeat, clock).row)
        head = f"{segmenter.engine.name} {segmenter.engine.precision}, {segmenter.choice.threads} threads"
    head += ", processor seconds" if given.cpu_time else ""
    given.output.write_text("\n".join([head, "", HEAD, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
