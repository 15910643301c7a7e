"""A scan known by its geometry alone."""

import pytest
from bedside.runtime import InputError, UsageError
from bedside.runtime.axes import XYZ
from bedside.runtime.scans.planned_scan import PlannedScan


def test_it_lies_as_scanners_orient_a_ct():
    scan = PlannedScan(XYZ(512, 512, 400), (0.8, 0.8, 1.0))
    assert repr(scan.grid) == "Grid(512×512×400 voxels, 0.8×0.8×1 mm, LPS)"
    assert (scan.itemsize, scan.in_memory) == (2, None)


def test_it_has_no_voxels():
    scan = PlannedScan(XYZ(4, 4, 4), (1.0, 1.0, 1.0))
    for read in (scan.planes, scan.load):
        with pytest.raises(UsageError, match="a planned scan has a geometry and no voxels"):
            read()


def test_a_spacing_that_no_scan_has_is_refused():
    with pytest.raises(InputError):
        PlannedScan(XYZ(4, 4, 4), (1.0, 1.0, 1000.0))
