import msgspec
import numpy as np
from bedside.runtime import Grid, Volume
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.scan import Scan


def test_the_grid_is_the_tasks_over_the_scans_field_of_view(task):
    scan = Scan(Volume(np.zeros((30, 20, 10), np.int16), Grid((30, 20, 10), np.diag([-1.0, 1.5, 6.0, 1.0]))))
    request = SegmentationRequest(scan, msgspec.structs.replace(task, spacing=(3.0, 3.0, 3.0)), overlap=0.5)
    assert request.grid.axes == "RAS"
    assert request.grid.shape == (10, 10, 20)  # 30, 30 and 60 mm
    assert request.grid.spacing == (3.0, 3.0, 3.0)
    assert request.grid is request.grid
