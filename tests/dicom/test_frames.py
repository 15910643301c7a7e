"""What a DICOM header says, what it lacks, and what is no slice of a scan."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pydicom
import pytest
from bedside.dicom.frames import Frame, NoScan, SliceError, read_frames
from bedside.runtime.errors import InputError, ResourceError

from .written_series import SERIES_UID, SPACING, STEP, write_enhanced, write_series


def one_file(folder, **elements):
    """Writes one slice with some elements changed, or left out where the value is None."""

    def change(made, _):
        for name, value in elements.items():
            if value is None:
                delattr(made, name)
            else:
                setattr(made, name, value)

    return write_series(folder, leave_out=range(1, 5), change=change)[0]


def test_a_slice_has_its_place_size_and_scaling(tmp_path):
    (frame,) = read_frames(one_file(tmp_path, RescaleSlope="2", RescaleIntercept="-1024", InstanceNumber=12))
    assert isinstance(frame, Frame)
    assert (frame.series, frame.number, frame.index, frame.modality) == (SERIES_UID, 12, None, "CT")
    assert (frame.size, frame.spacing) == ((6, 7), SPACING)
    assert (frame.position, frame.directions) == ((-30, -40, 100), (1, 0, 0, 0, 1, 0))
    assert (frame.slope, frame.intercept, frame.stored, frame.is_scaled) == (2, -1024, np.int16, True)


def test_frames_of_one_file_have_places_of_their_own_and_share_the_rest(tmp_path):
    frames = read_frames(write_enhanced(tmp_path / "ct.dcm"))
    assert [frame.position[2] for frame in frames] == [100 + number * STEP for number in range(5)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert {(frame.directions, frame.spacing, frame.slope, frame.intercept) for frame in frames} == {
        ((1, 0, 0, 0, 1, 0), SPACING, 2, -7)
    }


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localiser"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "a result, not a scan"),
        ({"SamplesPerPixel": 3}, "a colour image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "a colour image"),
        ({"ImagePositionPatient": None}, "an image without a place in the patient"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22", "Rows": None}, "no image"),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.2", "BitsAllocated": None, "PixelData": None},
            "no image",
        ),  # a spectrum
    ],
)
def test_what_is_no_slice_is_said(tmp_path, elements, reason):
    file = one_file(tmp_path, **elements)
    read = read_frames(file)
    assert isinstance(read, NoScan)
    assert (read.path, read.series, read.modality, read.reason) == (file, SERIES_UID, "CT", reason)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Columns": None, "BitsAllocated": None, "PixelData": None}, "Columns and BitsAllocated"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"PixelSpacing": [0, 1]}, "PixelSpacing"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0]}, "ImageOrientationPatient"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope"),
        ({"RescaleSlope": 1}, "RescaleSlope and RescaleIntercept, of which it has one"),
        ({"BitsStored": 12, "HighBit": 15}, r"HighBit \(one less than BitsStored\)"),
        ({"BitsStored": 17, "HighBit": 16}, r"HighBit \(one less than BitsStored\)"),
        ({"NumberOfFrames": 3}, "PerFrameFunctionalGroupsSequence"),
    ],
)
def test_an_element_that_is_missing_or_senseless_is_named(tmp_path, elements, words):
    with pytest.raises(SliceError, match=rf'"IM0000\.dcm": the DICOM header has no valid {words};') as refused:
        read_frames(one_file(tmp_path, **elements))
    assert (refused.value.series, refused.value.modality) == (SERIES_UID, "CT")


def test_frames_none_of_which_has_a_place_are_left_out_as_images_without_one_are(tmp_path):
    def change(made, _):
        for frame in made.PerFrameFunctionalGroupsSequence:
            del frame.PlanePositionSequence

    read = read_frames(write_enhanced(tmp_path / "xa.dcm", change=change))
    assert isinstance(read, NoScan)
    assert read.reason == "an image without a place in the patient"


def test_frames_of_which_one_has_no_place_are_missed(tmp_path):
    def change(made, _):
        del made.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence

    with pytest.raises(SliceError, match="no valid ImagePositionPatient"):
        read_frames(write_enhanced(tmp_path / "ct.dcm", change=change))


def test_frames_without_a_place_are_missed(tmp_path):
    made = pydicom.dcmread(write_enhanced(tmp_path / "ct.dcm"))
    del made.PerFrameFunctionalGroupsSequence[-1]
    made.save_as(tmp_path / "ct.dcm")
    with pytest.raises(InputError, match="NumberOfFrames, which counts other frames than have a place"):
        read_frames(tmp_path / "ct.dcm")


def test_a_file_cut_within_its_header_is_refused(tmp_path):
    file = one_file(tmp_path)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match="no valid Rows and Columns and BitsAllocated") as refused:
        read_frames(file)
    assert not isinstance(refused.value, SliceError)  # nothing says of which series it is


def test_a_cut_file_is_a_slice_of_no_series_but_its_own(tmp_path):
    file = one_file(tmp_path)
    content, origins = file.read_bytes(), set()
    for length in range(400, len(content)):
        file.write_bytes(content[:length])
        with suppress(InputError):
            try:
                read_frames(file)
            except SliceError as refused:
                origins.add(refused.series)
    assert origins == {SERIES_UID}


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(InputError, match=r'"gone\.dcm": cannot be read'):
        read_frames(tmp_path / "gone.dcm")


def test_what_the_machine_lacks_is_no_damage(tmp_path, monkeypatch, no_descriptors):
    file = one_file(tmp_path)
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        read_frames(file)

    def short(*_, **__):
        raise MemoryError

    monkeypatch.setattr("pydicom.dcmread", short)
    with pytest.raises(ResourceError, match="memory ran out"):
        read_frames(file)
