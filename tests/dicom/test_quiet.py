"""What headers hold is in no warning and in no log, and afterwards both are as they were."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from threading import Event, Thread

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.dicom import is_own_result, open_series, write_report, write_segmentation, write_structure_set
from bedside.dicom.quiet import quiet_libraries
from bedside.runtime.errors import InputError

from .written_series import write_series


def test_a_damaged_header_shows_nothing_of_itself(tmp_path, capfd, caplog, monkeypatch):
    caplog.set_level(0)
    monkeypatch.setattr(warnings, "showwarning", lambda *shown, **_: print(*shown))
    files = write_series(tmp_path / "ct")
    for file in files:  # as a header whose lengths are damaged
        file.write_bytes(file.read_bytes().replace(b"1.2.3.4.5", b"Doe^Jane1"))
    run(["--debug", "inspect", str(tmp_path / "ct")])
    captured = capfd.readouterr()
    assert "Invalid value" not in f"{captured.out}{captured.err}{caplog.text}"
    assert "Doe" not in captured.err + caplog.text  # a UID is shown in the list


@pytest.mark.parametrize(
    "elements",
    [
        {"StudyDate": "CANARY.1950", "StudyTime": "CANARY"},
        {"Modality": "CANARY^JANE"},
        {"PatientID": "CANARY" * 12, "AccessionNumber": "CANARY" * 4},
        {"StudyInstanceUID": "CANARY", "PatientBirthDate": "CANARY", "PatientAge": "CANARY", "PatientSex": "CANARY"},
        {"SeriesDescription": "CANARY" * 12, "StudyDescription": "CANARY" * 12, "StudyID": "CANARY" * 4},
    ],
    ids=str,
)
def test_reading_and_writing_warn_of_no_header(tmp_path, elements):
    def change(made, _):
        for name, value in elements.items():
            setattr(made, name, value)

    with quiet_libraries():
        write_series(tmp_path / "ct", change=change)
    names, seg = ("background", "liver"), tmp_path / "seg.dcm"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        scan = open_series(tmp_path / "ct")
        labels = np.ones(scan.grid.shape, np.uint8)
        for write in (
            lambda: write_segmentation(seg, labels, names, scan, bundle_sha256="ab"),
            lambda: write_report(tmp_path / "sr.dcm", {"liver": 1.0}, names, scan, seg, bundle_sha256="ab"),
            lambda: write_structure_set(tmp_path / "rt.dcm", labels, names, scan, bundle_sha256="ab"),
        ):
            with suppress(InputError):
                write()
        for file in tmp_path.rglob("*.dcm"):
            is_own_result(file)
    assert [str(each.message) for each in warned] == []


def test_warnings_and_levels_come_back_whatever_the_order_of_blocks():
    before, filters = logging.getLogger("pydicom").level, list(warnings.filters)
    first_is_in, second_is_in = Event(), Event()

    def first():
        with quiet_libraries():
            first_is_in.set()
            second_is_in.wait(5)

    thread = Thread(target=first)
    thread.start()
    first_is_in.wait(5)
    with quiet_libraries():
        second_is_in.set()
        thread.join()
        assert not logging.getLogger("pynetdicom.acse").isEnabledFor(logging.CRITICAL)
        warnings.warn("CANARY", stacklevel=1)
    assert logging.getLogger("pydicom").level == before
    assert warnings.filters == filters
    with pytest.warns(UserWarning, match="said again"):
        warnings.warn("said again", stacklevel=1)
