"""What results refer to is read from the series, and what is unfit is refused without its values."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from bedside.dicom import is_own_result, open_series, write_report, write_segmentation, write_structure_set
from bedside.dicom.quiet import quiet_libraries
from bedside.dicom.references import complete_headers, placed_frames, read_header, refusing, series_headers
from bedside.runtime.errors import InputError, ResourceError

from .written_series import write_enhanced, write_series


def test_headers_are_those_of_the_slices_in_their_order(tmp_path):
    write_series(tmp_path / "ct")
    headers = series_headers(open_series(tmp_path / "ct"))
    assert [header.InstanceNumber for header in headers] == [1, 2, 3, 4, 5]
    assert "PixelData" not in headers[0]


def test_a_multi_frame_file_has_one_header_and_many_frames(tmp_path):
    series = open_series(write_enhanced(tmp_path / "ct.dcm", order=[1, 0, 2, 3, 4]))
    assert len(series_headers(series)) == 1
    assert [(place, frame.index) for place, frame in placed_frames(series)] == [(0, 1), (1, 0), (2, 2), (3, 3), (4, 4)]


def test_frames_of_missing_slices_are_left_out(tmp_path):
    write_series(tmp_path / "ct", leave_out=[1])
    frames = placed_frames(open_series(tmp_path / "ct", fill_gaps=True))
    assert [place for place, _ in frames] == [0, 2, 3, 4]


def test_what_is_blank_is_filled_in_the_same_for_the_same_files(tmp_path):
    files = write_series(tmp_path / "ct", change=lambda made, _: setattr(made, "StudyInstanceUID", ""))
    uids = []
    for _ in range(2):
        headers = [read_header(file) for file in files]
        complete_headers(headers)
        uids.append({header.StudyInstanceUID for header in headers})
    assert uids[0] == uids[1]
    assert len(uids[0]) == 1


@pytest.mark.parametrize(
    ("sets", "patient"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 100", "Müller^Jörg"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "山田^太郎"),
    ],
)
def test_a_name_in_any_character_set_comes_through_to_the_result(tmp_path, sets, patient):
    def change(made, _):
        made.SpecificCharacterSet, made.PatientName = sets, patient

    scan = open_series(write_series(tmp_path / "ct", change=change))
    write_segmentation(
        tmp_path / "seg.dcm", np.ones(scan.grid.shape, np.uint8), ("background", "liver"), scan, bundle_sha256="ab"
    )
    assert str(read_header(tmp_path / "seg.dcm").PatientName) == patient


@pytest.mark.parametrize("sets", [None, "ISO_IR 100", "ISO_IR 192"])
def test_labels_of_any_script_come_through_to_all_results(tmp_path, sets):
    def change(made, _):
        if sets:
            made.SpecificCharacterSet, made.PatientName = sets, "Müller^Jörg"

    scan = open_series(write_series(tmp_path / "ct", change=change))
    seg, report, contours = (tmp_path / name for name in ("seg.dcm", "sr.dcm", "rt.dcm"))
    labels, names = np.ones(scan.grid.shape, np.uint8), ("background", "海马", "Hälfte")
    write_segmentation(seg, labels, names, scan, bundle_sha256="ab")
    write_report(report, dict.fromkeys(names[1:], 1.0), names, scan, seg, bundle_sha256="ab")
    write_structure_set(contours, labels, names, scan, bundle_sha256="ab")
    made = read_header(seg)
    assert [each.SegmentLabel for each in made.SegmentSequence][-2:] == ["海马", "Hälfte"]
    assert made.SegmentSequence[-2].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "海马"
    regions = read_header(contours)
    assert [each.ROIName for each in regions.StructureSetROISequence] == ["海马", "Hälfte"]
    codes = [each.RTROIIdentificationCodeSequence[0].CodeMeaning for each in regions.RTROIObservationsSequence]
    assert codes == ["海马", "Hälfte"]
    assert all(name in str(read_header(report)) for name in ("海马", "Hälfte"))
    if sets:
        assert {str(read_header(file).PatientName) for file in (seg, report, contours)} == {"Müller^Jörg"}


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientSex": "U"},
        {"PatientBirthDate": "1950", "StudyDate": "2020", "StudyTime": "noon"},
        {"PatientBirthDate": None, "StudyDate": None, "StudyTime": None, "PatientSex": None},
        {"SliceThickness": None},
        {"SeriesNumber": 2**31 - 1},
        {"SeriesNumber": -7},
    ],
    ids=str,
)
def test_what_is_invalid_in_a_header_keeps_no_result_back(tmp_path, elements):
    def change(made, _):
        for name, value in elements.items():
            setattr(made, name, value)

    with quiet_libraries():
        scan = open_series(write_series(tmp_path / "ct", change=change))
    seg, labels, names = tmp_path / "seg.dcm", np.ones(scan.grid.shape, np.uint8), ("background", "liver")
    write_segmentation(seg, labels, names, scan, bundle_sha256="ab")
    write_report(tmp_path / "sr.dcm", {"liver": 1.0}, names, scan, seg, bundle_sha256="ab")
    write_structure_set(tmp_path / "rt.dcm", labels, names, scan, bundle_sha256="ab")
    made = read_header(seg)
    assert (made.PatientSex, made.PatientBirthDate) in (("", ""), (None, None), ("", None))
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == (2.5 if "SliceThickness" in elements else 99)


def test_files_without_any_instance_uid_get_one_that_stays(tmp_path):
    files = write_series(tmp_path / "ct")
    for file in files:
        made = pydicom.dcmread(file)
        made.SOPInstanceUID, made.file_meta, made.preamble = "", pydicom.dataset.FileMetaDataset(), None
        pydicom.dcmwrite(file, made, implicit_vr=True, little_endian=True)
    scan = open_series(files)
    first, second = ([header.SOPInstanceUID for header in series_headers(scan)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 5
    write_segmentation(
        tmp_path / "seg.dcm", np.ones(scan.grid.shape, np.uint8), ("background", "liver"), scan, bundle_sha256="ab"
    )


def test_a_header_without_a_class_permits_no_reference(tmp_path):
    headers = [read_header(file) for file in write_series(tmp_path)]
    del headers[2].SOPClassUID, headers[2].file_meta.MediaStorageSOPClassUID
    with pytest.raises(InputError, match="has no SOPClassUID"):
        complete_headers(headers)


def test_times_and_dates_of_dicoms_predecessor_are_written_in_dicoms_way(tmp_path):
    headers = [read_header(file) for file in write_series(tmp_path)]
    for header in headers:
        header.StudyTime, header.StudyDate = "10:20:30", "2026.11.28"
    complete_headers(headers)
    assert (headers[0].StudyTime, headers[0].StudyDate) == ("102030", "20261128")


def test_errors_and_warnings_of_a_library_keep_their_words_to_themselves():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="a DICOM report cannot refer") as caught, refusing("report"):
            _fail_with("CANARY")
    assert "CANARY" not in str(caught.value)


def _fail_with(words):
    warnings.warn(words, stacklevel=1)
    raise ValueError(words)


def test_damaged_files_are_refused_and_are_nobodys_result(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"no DICOM")
    assert not is_own_result(tmp_path / "x.dcm")


def test_what_the_machine_lacks_is_no_fault_of_a_header(tmp_path, no_descriptors):
    file, *_ = write_series(tmp_path / "ct")
    read_header(file)
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        read_header(file)
    with pytest.raises(ResourceError, match="a DICOM segmentation: memory ran out"), refusing("segmentation"):
        raise MemoryError
    with pytest.raises(ResourceError, match="disk full"), refusing("segmentation"):
        raise ResourceError("disk full")
