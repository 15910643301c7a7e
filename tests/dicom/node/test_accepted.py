"""The identifiers of an instance are read, and one that lacks them or has others than announced has none."""

import pydicom
from bedside.dicom.node.accepted import instance_name

from . import parties


def test_identifiers_are_those_of_the_file_and_of_the_request(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    name = instance_name(file.read_bytes())
    assert (name.patient, name.study, name.series) == ("ID3", "1.2.3.78.3", "1.2.3.77.3")
    assert instance_name(file.read_bytes(), name.instance) == name
    assert instance_name(file.read_bytes(), "1.2.3.999") is None


def test_an_instance_without_a_series_has_no_name(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    made.SeriesInstanceUID = ""
    made.save_as(file)
    assert instance_name(file.read_bytes()) is None
