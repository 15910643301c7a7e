"""What a series' DICOM results take beside the label map is predicted, and none holds a second copy of it."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.dicom import open_series
from bedside.dicom.result_memory import result_bytes

from ..fresh_process import run_fresh
from .written_series import write_series

MIB = 2**20
MEASURE = """
import json, sys
from pathlib import Path
import numpy as np
from bedside.dicom import open_series, write_report, write_segmentation, write_structure_set
from bedside.dicom.result_memory import result_bytes

def resident(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

def write():
    if "contours" in kinds:
        write_structure_set(folder.parent / "rt.dcm", labels, names, series, bundle_sha256="ab")
    if "segmentation" in kinds:
        kind = "BINARY" if "binary" in kinds else "LABELMAP"
        write_segmentation(folder.parent / "seg.dcm", labels, names, series, bundle_sha256="ab", kind=kind)
    if "report" in kinds:
        volumes = dict.fromkeys(names, 1.0)
        write_report(folder.parent / "sr.dcm", volumes, names, series, folder.parent / "seg.dcm", bundle_sha256="ab")

folder, kinds = Path(sys.argv[1]), sys.argv[2:]
names = ("background", *(f"structure {number}" for number in range(1, 15)))  # 14 organs
series = open_series(folder)
labels = np.zeros(series.grid.shape, np.uint8)
for number in range(1, 15):  # a strip of blocks for each organ: 4 contours in every plane
    labels[32 * number : 32 * number + 16] = np.where(np.arange(512) // 64 % 2, number, 0)[:, np.newaxis]
before = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
write()
first = resident("VmHWM") - before
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
write()
predicted = result_bytes(series, **{kind: True for kind in ("report", "contours") if kind in kinds},
                         segmentation="segmentation" in kinds)
print(json.dumps([labels.nbytes, first, predicted, resident("VmHWM") - before]))
"""


@pytest.fixture
def folder(tmp_path):
    def change(made, number):
        made.Rows = made.Columns = 512  # the pixels are not read

    write_series(tmp_path / "ct", values=np.zeros((120, 1, 1), np.int16), change=change)
    return tmp_path / "ct"


@pytest.mark.parametrize(
    "kinds",
    [["segmentation"], ["segmentation", "binary"], ["segmentation", "report"], ["contours"]],
    ids="+".join,
)
def test_memory_is_predicted_and_holds_no_second_copy_of_the_label_map(folder, kinds):
    label_map, first, predicted, again = run_fresh(MEASURE, str(folder), *kinds)
    assert label_map == 512 * 512 * 120
    assert again < label_map / 2
    assert first <= predicted


def test_the_libraries_are_counted_once_and_nothing_without_a_result(folder):
    series = open_series(folder)
    assert result_bytes(series, segmentation=False) == 0
    one = result_bytes(series, segmentation=True)
    assert one == result_bytes(series, segmentation=True, report=True)
    assert 160 * MIB < one < 200 * MIB
    assert result_bytes(series, segmentation=False, contours=True) < one
    assert result_bytes(series, segmentation=True, contours=True) > one
