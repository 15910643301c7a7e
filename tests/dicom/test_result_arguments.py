"""What does not belong to a series is refused by its argument, and leaves no file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bedside.dicom import ResultIdentity, is_own_result, open_series, write_report, write_segmentation
from bedside.dicom import write_structure_set as write_contours
from bedside.dicom.result_arguments import ResultArguments
from bedside.runtime.errors import UsageError

from .test_segmentation import HASH, NAMES, label_map
from .written_series import other_series, write_series

SHAPE = (7, 6, 5)  # of the series, x first
VOLUMES = {"liver": 1.5, "kidney_left": 0.0}
LABELS = label_map(SHAPE)


@pytest.fixture
def series(tmp_path):
    write_series(tmp_path / "ct")
    return open_series(tmp_path / "ct")


@pytest.fixture
def segmentation(series, tmp_path):
    write_segmentation(tmp_path / "seg.dcm", LABELS, NAMES, series, bundle_sha256=HASH)
    return tmp_path / "seg.dcm"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.ones((8, 6, 5), np.uint8), r"labels: expected shape \(7, 6, 5\) as the series has it, got \(8, 6, 5\)"),
        (LABELS.T, r"expected shape \(7, 6, 5\) as the series has it, got \(5, 6, 7\)"),
        (LABELS[:3, :3, :3], r"got \(3, 3, 3\)"),
        (LABELS[:, :, 0], r"got \(7, 6\)"),
        (LABELS.astype(np.float32), "labels: expected integers, got float32"),
        (LABELS.astype(object), "labels: expected integers, got object"),
        (np.ma.masked_equal(LABELS, 0), "labels: expected a label in every voxel, got a masked array"),
        (SimpleNamespace(labels=LABELS), "labels: expected a NumPy array, got a SimpleNamespace; give its labels"),
        (LABELS.tolist(), r"labels: expected a NumPy array, got a list; .* numpy\.asarray"),
        (LABELS + np.uint8(1), "labels: expected indices from 0 to 2, got 1 to 3"),
        (LABELS.astype(np.int16) - 1, "labels: expected indices from 0 to 2, got -1 to 1"),
    ],
    ids=["other series", "transposed", "smaller", "2D", "float", "object", "masked", "result", "list", "high", "low"],
)
@pytest.mark.parametrize("write", [write_segmentation, write_contours])
def test_what_is_no_label_map_of_the_series_is_refused(series, tmp_path, write, labels, said):
    with pytest.raises(UsageError, match=said):
        write(tmp_path / "made.dcm", labels, NAMES, series, bundle_sha256=HASH)
    assert not (tmp_path / "made.dcm").exists()


def test_a_label_map_is_taken_as_it_is(series):
    given = ResultArguments.checked("x.dcm", NAMES, series, HASH, None)
    assert given.label_map(LABELS) is LABELS


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("path", "labels.nii.gz", r'output "labels\.nii\.gz": expected a name ending in \.dcm'),
        ("path", None, "path: expected a path"),
        ("names", "abc", "names: expected a list of names"),
        ("names", ["background"], "names: expected the background and the names of all labels, got 1"),
        ("names", ["background", b"liver", "kidney"], "names: expected a text"),
        ("series", "ct", r'series: expected a DicomSeries, got "ct"; open it with bedside\.dicom\.open_series'),
        ("bundle_sha256", None, "bundle_sha256: expected a text, got None"),
        ("identity", "1.2.3", "identity: expected a ResultIdentity"),
    ],
)
@pytest.mark.parametrize("write", [write_segmentation, write_contours, write_report])
def test_every_writer_names_the_argument_that_is_wrong(
    series, segmentation, tmp_path, monkeypatch, write, argument, value, said
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    content = {"volumes_ml": VOLUMES, "segmentation": segmentation} if write is write_report else {"labels": LABELS}
    given = {"path": "made.dcm", "names": NAMES, "series": series, "bundle_sha256": HASH, **content}
    with pytest.raises(UsageError, match=said):
        write(**{**given, argument: value})
    assert sorted(tmp_path.iterdir()) == before
    write(**given, identity=ResultIdentity("1.2.3", "1.2.4"))


def test_a_kind_that_does_not_exist_is_named(series, tmp_path):
    with pytest.raises(UsageError, match='kind: expected LABELMAP, BINARY, got "binary"'):
        write_segmentation(tmp_path / "s.dcm", LABELS, NAMES, series, bundle_sha256=HASH, kind="binary")


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        ([1.5, 0.0], "volumes_ml: expected a Mapping, got"),
        ({"liver": 1.5}, 'volumes_ml: expected the volume of every label, got none of "kidney_left"'),
        ({**VOLUMES, "spleen": 3.0}, 'volumes_ml: expected the names of the labels alone, got "spleen"'),
        ({**VOLUMES, "liver": -1.0}, r'volumes_ml\["liver"\]: expected ml from 0 up, got -1'),
        ({**VOLUMES, "liver": float("nan")}, r'volumes_ml\["liver"\]: expected ml from 0 up, got nan'),
    ],
)
def test_volumes_that_are_not_those_of_the_labels_are_refused(series, segmentation, tmp_path, volumes, said):
    with pytest.raises(UsageError, match=said):
        write_report(tmp_path / "sr.dcm", volumes, NAMES, series, segmentation, bundle_sha256=HASH)
    assert not (tmp_path / "sr.dcm").exists()


def test_a_report_refers_to_a_segmentation_of_its_series_and_labels_alone(series, segmentation, tmp_path):
    slice_file, *_ = write_series(tmp_path / "other", change=other_series("1.2.3.4.6"))
    other = open_series(tmp_path / "other")
    write_segmentation(tmp_path / "other.dcm", LABELS, NAMES, other, bundle_sha256=HASH)
    write_segmentation(tmp_path / "swapped.dcm", LABELS, [NAMES[i] for i in (0, 2, 1)], series, bundle_sha256=HASH)
    write_segmentation(tmp_path / "more.dcm", LABELS, [*NAMES, "spleen"], series, bundle_sha256=HASH)
    for file, said in (
        (
            tmp_path / "none.dcm",
            'segmentation "none.dcm": expected what write_segmentation wrote .*, got no DICOM file',
        ),
        (slice_file, "got a DICOM file of another kind"),
        (tmp_path / "other.dcm", "got a segmentation of another series"),
        (tmp_path / "swapped.dcm", "got a segmentation with other labels"),
        (tmp_path / "more.dcm", "got a segmentation with other labels"),
        (None, "segmentation: expected a path"),
    ):
        with pytest.raises(UsageError, match=said):
            write_report(tmp_path / "sr.dcm", VOLUMES, NAMES, series, file, bundle_sha256=HASH)
    assert not (tmp_path / "sr.dcm").exists()


@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
def test_spaces_at_the_ends_of_a_label_make_no_other_label(series, tmp_path, kind):
    names, seg = ("background", " liver ", "x" * 70), tmp_path / "seg.dcm"
    write_segmentation(seg, LABELS, names, series, bundle_sha256=HASH, kind=kind)
    volumes = dict.fromkeys(names[1:], 1.0)
    write_report(tmp_path / "sr.dcm", volumes, names, series, str(seg), bundle_sha256=HASH)
    assert is_own_result(str(tmp_path / "sr.dcm"), "SR")


def test_what_is_no_path_is_nobodys_result():
    with pytest.raises(UsageError, match="path: expected a path"):
        is_own_result(3)
