import numpy as np
from bedside.cli.demo.report import curves_picture, overlay_picture
from bedside.cli.demo.results import RunCurve
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

PNG = b"\x89PNG\r\n\x1a\n"


def test_overlay_is_drawn_from_files(tmp_path):
    grid = Grid((12, 10, 8), np.diag([3.0, 3.0, 5.0, 1.0]))
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:6, 3:7, 2:5] = 1
    write_volume(tmp_path / "ct.nii.gz", labels.astype(np.int16) * 100, grid)
    write_volume(tmp_path / "labels.nii.gz", labels, grid)
    maps = {"Truth": tmp_path / "labels.nii.gz", "Student": tmp_path / "labels.nii.gz"}
    assert overlay_picture(tmp_path / "ct.nii.gz", maps, ("background", "liver"), (-100, 200)).startswith(PNG)


def test_curves_are_drawn_with_and_without_validation():
    curves = [RunCurve("a", (1, 2), (3.0, 2.0), ((2, 0.5),)), RunCurve("b", (1, 2), (3.0, 2.5), ())]
    assert curves_picture(curves).startswith(PNG)
