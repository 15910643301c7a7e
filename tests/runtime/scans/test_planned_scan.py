"""A scan known by its geometry alone."""

import pytest
from bedside.runtime import UsageError
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


@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [
        ((4, 4, 4), (1.0, 1.0, 1000.0), "spacing: expected 0.01…100 mm per axis, got 1×1×1000"),
        ((4, 4, 4), (0.001, 1.0, 1.0), "spacing: expected 0.01…100 mm per axis, got 0.001×1×1"),
        ((4, 0, 4), (1.0, 1.0, 1.0), "shape: expected voxels from 1 up, got 4×0×4"),
        (
            (999_999, 4, 4),
            (1.0, 1.0, 1.0),
            "shape: expected a scan of at most 100000 mm along each axis, got",
        ),
    ],
)
def test_a_geometry_that_no_scan_has_is_refused_by_the_name_of_the_argument(shape, spacing, message):
    with pytest.raises(UsageError, match=message) as refused:
        PlannedScan(XYZ(*shape), spacing)
    assert "header" not in str(refused.value)  # there is no file to correct
