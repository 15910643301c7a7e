"""A series whose header permits no result is refused before the work, and any other is not."""

from __future__ import annotations

import pydicom
import pytest
from bedside.dicom import open_series
from bedside.dicom.result_check import check_results
from bedside.runtime.errors import InputError

from .written_series import write_enhanced, write_series

NAMES = ("background", "liver", "kidney_left")
ALL = {"segmentation": True, "report": True, "contours": True}


def test_a_series_that_permits_all_results(tmp_path):
    write_series(tmp_path / "ct")
    check_results(open_series(tmp_path / "ct"), NAMES, **ALL)
    check_results(open_series(write_enhanced(tmp_path / "ct.dcm")), NAMES, **ALL)


@pytest.mark.parametrize(("wanted", "what"), [("segmentation", "segmentation"), ("contours", "structure set")])
def test_a_label_that_no_result_can_hold_is_refused(tmp_path, wanted, what):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    with pytest.raises(InputError, match=f"a DICOM {what} cannot refer to this series"):
        check_results(series, ("background", b"liver"), **{"segmentation": False, wanted: True})


@pytest.mark.parametrize("wanted", ["segmentation", "contours"])
def test_a_label_with_a_backslash_is_refused_as_it_would_become_two_values(tmp_path, wanted):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    with pytest.raises(InputError, match=r'label ".*": no DICOM result holds a backslash; write a \.nii\.gz'):
        check_results(series, ("background", "liver\\vein"), **{"segmentation": False, wanted: True})


def test_a_header_without_a_class_is_refused_only_where_a_result_is_wanted(tmp_path):
    files = write_series(tmp_path / "ct")
    for file in files:
        made = pydicom.dcmread(file)
        del made.SOPClassUID, made.file_meta.MediaStorageSOPClassUID
        made.save_as(file, enforce_file_format=False)
    series = open_series(files)
    check_results(series, NAMES, segmentation=False)
    with pytest.raises(InputError, match="has no SOPClassUID"):
        check_results(series, NAMES, segmentation=True)
