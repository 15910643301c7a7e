"""The scans of a benchmark: the caller's, read to its end before anything is measured, or synthetic ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import InputError, without_segment_options
from ...runtime.preprocessing.plausibility import check_extent, check_values
from ...runtime.scans.open_scan import open_scan
from .chosen_variants import OpenedBundle
from .report import GIVEN_SCAN
from .synthetic import write_synthetic_scan


@dataclass(frozen=True)
class BenchmarkScans:
    """The scans of a benchmark.

    Attributes:
        described: what the report says of them, without a file's name.
        paths: the scan of each bundle; None without an end-to-end run.
        sha256: SHA-256 of the caller's scan; empty where none is segmented.
    """

    described: str
    paths: tuple[Path | None, ...]
    sha256: str = ""


def benchmark_scans(
    given: Path | None, bundles: Sequence[OpenedBundle], folder: Path, *, end_to_end: bool
) -> BenchmarkScans:
    """Returns the scan of each bundle.

    Args:
        given: the caller's scan, which all bundles segment; None for a synthetic one of each bundle's task.
        bundles: the bundles.
        folder: folder to write synthetic scans into.
        end_to_end: whether scans are segmented at all.

    Raises:
        InputError: the caller's scan is refused.
        ResourceError: a synthetic scan cannot be written.
    """
    if not end_to_end:
        return BenchmarkScans("none (end-to-end time was not asked for)", (None,) * len(bundles))
    if given is not None:
        return BenchmarkScans(GIVEN_SCAN, (given.resolve(),) * len(bundles), _checked_sha256(given))
    described, paths = dict[str, None](), list[Path]()
    for index, bundle in enumerate(bundles):
        paths.append(folder / f"synthetic-{index}.nii.gz")
        described[write_synthetic_scan(bundle.task, paths[-1])] = None
    return BenchmarkScans("; ".join(described), tuple(paths))


def _checked_sha256(path: Path) -> str:
    """Reads a scan to its end and returns its hash: one that will be refused is refused before anything is measured.

    Raises:
        InputError: the scan is refused.
    """
    try:
        scan = open_scan(path)
        check_extent(scan.grid)
        for _ in scan.planes():
            pass
        check_values(scan.low, scan.high)
    except InputError as error:
        raise InputError(without_segment_options(str(error))) from None
    return scan.sha256() or ""
