import numpy as np
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.volume import Volume, as_voxels

from ..small_scan import AFFINE, GRID, HU


@pytest.mark.parametrize(("data", "grid"), [(HU.tolist(), GRID), (None, GRID), (HU, None), (HU, AFFINE)])
def test_a_volume_is_an_array_and_its_grid(data, grid):
    with pytest.raises(UsageError, match=r"(data: expected a NumPy array|grid: expected a Grid), got"):
        Volume(data, grid)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HU[1:], r"volume: expected shape \(12, 10, 9\) as the grid says, got \(11, 10, 9\)"),
        (HU.T, r"got \(9, 10, 12\)"),
        (HU > 0, "volume: expected real numbers, got bool"),
        (np.ma.masked_less(HU, 0), "volume: expected a value in every voxel"),
    ],
)
def test_data_that_do_not_fit_the_grid_or_are_no_numbers_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        Volume(data, GRID)


def test_a_volume_shows_its_type_and_grid_and_none_of_its_values():
    assert repr(Volume(HU, GRID)) == "Volume(int16, Grid(12×10×9 voxels, 3×3×3 mm, RAS))"


def test_an_array_is_not_copied():
    assert as_voxels("hu", HU) is HU


@pytest.mark.parametrize("values", [[[1, 2], [3]], object(), "ct.nii", [None], 1j])
def test_the_argument_is_named_where_its_values_are_no_numbers(values):
    with pytest.raises(InputError, match=r"^hu: expected (an array \[X, Y, Z\] of|real) numbers"):
        as_voxels("hu", values)
