"""A scan's planes: finite, counted, and the same each time, from a file or from memory."""

import numpy as np
import pytest
from bedside.runtime.errors import Cancelled, InputError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti_file import NiftiFile
from bedside.runtime.scans.scan import Scan
from bedside.runtime.scans.volume import Volume

GRID = Grid((4, 3, 5), np.diag([1.0, 1.0, 2.0, 1.0]))


def values():
    return np.arange(60, dtype=np.float32).reshape(GRID.shape)


def with_two_gaps():
    data = values()
    data[0, 0, 1], data[3, 2, 4] = np.nan, np.inf
    return Volume(data, GRID)


def test_planes_come_with_the_lowest_and_highest_value_so_far():
    scan = Scan(Volume(values(), GRID))
    planes = scan.planes()
    assert np.array_equal(next(planes), values()[:, :, 0].T)
    assert (scan.low, scan.high) == (0, 55)
    assert len(list(planes)) == 4
    assert (scan.low, scan.high) == (0, 59)


def test_each_reading_counts_anew():
    scan = Scan(with_two_gaps(), replace_nan=-5)
    for _ in range(2):
        assert sum(1 for _ in scan.planes()) == 5
        assert scan.warnings == ("2 voxels that were NaN or Inf replaced by -5",)
        assert (scan.low, scan.high) == (-5, 58)


def test_a_replacement_beyond_the_volumes_own_type_is_refused():
    half = Volume(values().astype(np.float16), GRID)
    with pytest.raises(UsageError, match=r"replace_nan: expected a finite number in float16, .*, got 1000000\.0"):
        Scan(half, replace_nan=1e6)
    assert Scan(half, replace_nan=65504).load() is half
    swapped = Volume(half.data.astype(">f2"), half.grid)
    with pytest.raises(UsageError, match="replace_nan: expected a finite number in float16"):
        Scan(swapped, replace_nan=1e6)


def test_a_value_that_is_not_finite_is_refused_by_its_plane():
    with pytest.raises(InputError, match=r"^expected finite values, got NaN or Inf in plane 2 of 5; repair the scan"):
        list(Scan(with_two_gaps()).planes())


def test_a_files_name_is_in_the_message(tmp_path, nifti):
    data = nifti.HU.astype(np.float32)
    data[0, 0, 3] = np.nan
    with pytest.raises(InputError, match=r'^"ct\.nii\.gz": expected finite values, got NaN or Inf in plane 4 of 4'):
        Scan(NiftiFile.open(nifti.saved(tmp_path, data))).load()


def test_a_volume_without_gaps_is_loaded_as_it_is():
    volume = Volume(values(), GRID)
    assert Scan(volume, replace_nan=0).load() is volume


def test_loading_puts_the_replaced_values_in_a_copy():
    volume = with_two_gaps()
    loaded = Scan(volume, replace_nan=7).load()
    assert (loaded.data[0, 0, 1], loaded.data[3, 2, 4], loaded.data[1, 1, 1]) == (7, 7, values()[1, 1, 1])
    assert np.isnan(volume.data[0, 0, 1])
    assert loaded.warnings == ("2 voxels that were NaN or Inf replaced by 7",)


def test_the_caller_is_asked_before_every_plane():
    answers = iter([False, False, True])
    planes = Scan(Volume(values(), GRID), cancel=lambda: next(answers)).planes()
    assert next(planes).shape == next(planes).shape == (3, 4)
    with pytest.raises(Cancelled):
        next(planes)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39, -1e39])
def test_gaps_are_filled_with_finite_values_alone(value):
    with pytest.raises(UsageError, match="replace_nan: expected a finite number"):
        Scan(Volume(values(), GRID), replace_nan=value)


@pytest.mark.parametrize(("fields", "size"), [({}, 2), ({"scl_slope": 2.0, "scl_inter": 0}, 4)])
def test_a_files_voxels_take_the_bytes_that_reading_gives_them(tmp_path, nifti, fields, size):
    assert Scan(NiftiFile.open(nifti.saved(tmp_path, **fields))).itemsize == size


def test_loading_takes_memory_for_a_file_and_where_values_of_a_volume_are_replaced(tmp_path, nifti):
    assert Scan(with_two_gaps()).loading_bytes == 0
    assert Scan(with_two_gaps(), replace_nan=0.0).loading_bytes == 60 * 4
    assert Scan(Volume(values().astype(np.int16), GRID), replace_nan=0.0).loading_bytes == 0  # integers have no gaps
    file = NiftiFile.open(nifti.saved(tmp_path))
    assert Scan(file).loading_bytes == np.prod(file.grid.shape) * 2
