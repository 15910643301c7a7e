"""What is no even stack of slices is refused, and the message says which slices are at fault."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.dicom import open_series
from bedside.runtime.errors import InputError

from .written_series import STEP, write_series


def refusal(folder, **options):
    with pytest.raises(InputError) as caught:
        open_series(folder, **options)
    return str(caught.value)


def moved(number, offset):
    def change(made, at):
        if at == number:
            made.ImagePositionPatient = (np.array(made.ImagePositionPatient, float) + offset).tolist()

    return change


def test_missing_slices_are_counted_and_the_first_gap_is_named(tmp_path):
    write_series(tmp_path, values=np.zeros((9, 4, 4), np.int16), leave_out=[3, 6, 7])
    assert "3 slices are missing, first between numbers 3 and 5 (5 mm apart, others 2.5 mm)" in refusal(tmp_path)


def test_one_missing_slice(tmp_path):
    write_series(tmp_path, leave_out=[2])
    assert "1 slice is missing, between numbers 2 and 4" in refusal(tmp_path)


def test_interpolating_missing_slices_is_offered(tmp_path):
    write_series(tmp_path, leave_out=[2])
    with pytest.raises(InputError) as refused:
        open_series(tmp_path)
    (offered,) = refused.value.choices
    assert (offered.parameter, offered.value) == ("fill_gaps", "true")


@pytest.mark.parametrize("height", [30 * STEP, 1e9, 1e300])
@pytest.mark.parametrize("fill_gaps", [False, True])
def test_more_missing_slices_than_there_are_is_no_gap_to_fill(tmp_path, height, fill_gaps):
    write_series(tmp_path, change=moved(4, (0, 0, height)))
    with pytest.raises(
        InputError, match=r"slices are missing, first between numbers 4 and 5.*give the files of one"
    ) as no:
        open_series(tmp_path, fill_gaps=fill_gaps)
    assert no.value.choices == ()


@pytest.mark.parametrize("kept", [[0, 2, 6], [0, 1, 2, 4, 6], [0, 1, 3, 5], [0, 3]])
def test_gaps_are_filled_where_half_of_the_steps_or_more_are_gaps(tmp_path, kept):
    left_out = [number for number in range(kept[-1] + 1) if number not in kept]
    write_series(tmp_path, values=np.zeros((kept[-1] + 1, 4, 4), np.int16), leave_out=left_out)
    if kept == [0, 3]:  # nobody can tell
        assert open_series(tmp_path).grid.shape.z == 2
        return
    assert "are missing, first between" in refusal(tmp_path) or "is missing, between" in refusal(tmp_path)
    step = 2 if kept == [0, 2, 6] else 1
    assert open_series(tmp_path, fill_gaps=True).grid.shape.z == kept[-1] // step + 1


def test_as_many_missing_slices_as_there_are_may_be_filled(tmp_path):
    write_series(tmp_path, change=moved(4, (0, 0, 5 * STEP)))
    assert open_series(tmp_path, fill_gaps=True).grid.shape.z == 10


def test_places_further_apart_than_a_number_can_say_are_refused(tmp_path):
    write_series(
        tmp_path,
        leave_out=[2, 3, 4],
        change=lambda made, at: setattr(made, "ImagePositionPatient", [0, 0, (-1) ** at * 1.5e308]),
    )
    with np.errstate(all="ignore"):
        assert "unevenly spaced" in refusal(tmp_path)


def test_slices_at_the_same_place_are_named(tmp_path):
    write_series(tmp_path, change=moved(3, (0, 0, -STEP)))
    assert "1 slice lies where another lies, numbers 3 and 4" in refusal(tmp_path)
    assert "where another lies" in refusal(tmp_path, fill_gaps=True)


def test_a_series_copied_twice_is_refused(tmp_path):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b")
    assert "5 slices lie where another lies, numbers 1 and 1 first" in refusal(tmp_path)


@pytest.mark.parametrize("fill_gaps", [False, True])
def test_uneven_slices_are_refused(tmp_path, fill_gaps):
    write_series(tmp_path, change=moved(2, (0, 0, 0.4)))
    assert "unevenly spaced, 2.1 to 2.9 mm apart" in refusal(tmp_path, fill_gaps=fill_gaps)


def test_a_hundredth_of_a_step_is_rounding(tmp_path):
    write_series(tmp_path, change=moved(2, (0, 0, 0.02)))
    assert open_series(tmp_path).grid.spacing[2] == pytest.approx(STEP)


def test_a_slice_that_lies_sideways_is_named(tmp_path):
    write_series(tmp_path, change=moved(3, (3, 0, 0)))
    assert "slice number 4 lies 3 mm from its place" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("ImageOrientationPatient", [0, 1, 0, 0, 0, -1], "orientation"),
        ("PixelSpacing", [0.7, 0.8], "pixel spacing"),
        ("Modality", "MR", "modality"),
        ("FrameOfReferenceUID", "1.2.3.10", "frame of reference"),
    ],
)
def test_slices_that_differ_are_named(tmp_path, name, value, word):
    write_series(tmp_path, change=lambda made, at: setattr(made, name, value) if at == 4 else None)
    assert f"differ in {word} (number" in refusal(tmp_path)


def test_slices_of_another_size_are_named(tmp_path):
    write_series(tmp_path, leave_out=[4])
    write_series(tmp_path / "other", values=np.zeros((5, 8, 8), np.int16), leave_out=[0, 1, 2, 3])
    assert "differ in size (number" in refusal(tmp_path)


def test_one_slice_has_no_distance(tmp_path):
    write_series(tmp_path, leave_out=[1, 2, 3, 4])
    said = "one slice, which does not say how far the next would be; give the folder of the whole series"
    assert said in refusal(tmp_path)


def test_directions_that_are_not_at_right_angles_are_refused(tmp_path):
    write_series(tmp_path, change=lambda made, _: setattr(made, "ImageOrientationPatient", [1, 0, 0, 0.3, 0.95, 0]))
    assert "image orientation is not two directions of length 1" in refusal(tmp_path)
