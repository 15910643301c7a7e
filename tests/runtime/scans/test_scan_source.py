"""A scan in a format of one's own is segmented like a file: its planes are read one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.open_scan import open_scan
from bedside.runtime.scans.scan_source import ScanSource
from numpy.typing import NDArray

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class OwnFormat(ScanSource):
    name = "own"
    grid = Grid((4, 3, 2), np.diag([1.0, 2.0, 3.0, 1.0]))
    dtype = np.dtype(np.float32)
    warnings = ("made by hand",)

    def __init__(self, values: NDArray[np.float32] = VALUES) -> None:
        self.values = values

    def planes(self) -> Iterator[NDArray[np.float32]]:
        yield from self.values

    def sha256(self) -> str:
        return "0" * 64

    def check_memory(self) -> None:
        pass


def test_its_planes_grid_and_warnings_are_the_scans():
    scan = open_scan(OwnFormat())
    assert scan.itemsize == 4
    volume = scan.load()
    assert np.array_equal(volume.data, VALUES.transpose(2, 1, 0))
    assert volume.grid is OwnFormat.grid
    assert volume.warnings == ("made by hand",)


def test_its_name_stands_before_what_is_wrong_with_it():
    values = VALUES.copy()
    values[1, 0, 0] = np.nan
    with pytest.raises(InputError, match='"own": expected finite values, got NaN or Inf in plane 2 of 2'):
        open_scan(OwnFormat(values)).load()


def test_nothing_is_chosen_within_it():
    with pytest.raises(UsageError, match="this scan is none, or is open already"):
        open_scan(OwnFormat(), volume=1)
