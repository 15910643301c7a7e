"""Regions are written contour by contour: another library reads them as they were given."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from bedside.dicom import open_series
from bedside.dicom.contour_writer import Contour, Region, encoded, write_regions
from bedside.dicom.references import placed_frames
from pydicom.dataset import Dataset

from .written_series import SPACING, write_series

SQUARE = np.array([[-0.5, -0.5], [-0.5, 1.5], [1.5, 1.5], [1.5, -0.5]])  # rows, columns


def reference():
    image, made = Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    made.ContourImageSequence = [image]
    return encoded(made)


@pytest.fixture
def frame(tmp_path):
    write_series(tmp_path / "ct")
    return placed_frames(open_series(tmp_path / "ct"))[1][1]


def read(regions):
    content = io.BytesIO()
    write_regions(content, regions)
    content.seek(0)
    return pydicom.dcmread(content, force=True).ROIContourSequence


def test_a_square_lies_where_its_pixels_lie(frame):
    (region,) = read([Region(3, (255, 0, 10), [Contour(SQUARE, frame, reference())])])
    assert (region.ReferencedROINumber, list(region.ROIDisplayColor)) == (3, [255, 0, 10])
    (contour,) = region.ContourSequence
    assert (contour.ContourGeometricType, contour.NumberOfContourPoints) == ("CLOSED_PLANAR", 4)
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    points = np.array(contour.ContourData, float).reshape(-1, 3) - frame.position  # rows lie along x, columns along y
    expected = [(column * SPACING[1], row * SPACING[0], 0) for row, column in SQUARE]
    assert np.allclose(points, expected, atol=1e-4)


def test_a_region_without_contours_has_no_sequence_of_them(frame):
    contours = [Contour(SQUARE, frame, reference())] * 2
    regions = read([Region(1, (0, 0, 0), []), Region(2, (0, 0, 0), iter(contours)), Region(3, (0, 0, 0), [])])
    assert [len(region.get("ContourSequence", ())) for region in regions] == [0, 2, 0]
    assert [region.ReferencedROINumber for region in regions] == [1, 2, 3]


def test_contours_are_taken_one_at_a_time(frame):
    file, sizes = io.BytesIO(), []

    def contours():
        for _ in range(3):
            sizes.append(len(file.getvalue()))
            yield Contour(SQUARE, frame, reference())

    write_regions(file, [Region(1, (0, 0, 0), contours())])
    assert sizes[0] < sizes[1] < sizes[2]  # each is in the file before the next is made
