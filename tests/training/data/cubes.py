"""Data sets of cubes, written case by case, for the tests of `check_dataset`."""

import json

import numpy as np
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.dataset_check import check_dataset

SHAPE = (24, 20, 16)
GRID = Grid(SHAPE, np.diag([4.0, 4.0, 5.0, 1.0]))


def scan(number=0):
    """A grey body in air with one bright cube of 4×4×4 voxels; each number another scan."""
    image = np.full(SHAPE, -1000, np.int16)
    image[3:21, 3:17] = 40
    image[10:14, 8:12, 6:10] = 200
    image[0, 0, 0] = -1000 + number
    return image


def truth(label=1):
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:14, 8:12, 6:10] = label
    return labels


class CubesFolder:
    """A data set that is written case by case."""

    def __init__(self, path):
        self.path = path
        self.lists = {"training": [], "validation": [], "test": []}
        path.mkdir()

    def add(self, name, image=None, labels=None, grid=GRID, truth_grid=GRID, to="training"):
        number = sum(len(cases) for cases in self.lists.values())
        labels = np.roll(truth(), number, axis=2) if labels is None else labels
        write_volume(self.path / f"{name}.nii.gz", scan(number) if image is None else image, grid)
        write_volume(self.path / f"{name}_label.nii.gz", labels, truth_grid)
        self.lists[to].append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
        return self

    def check(self, task, *, labels=("background", "cube"), **options):
        labels = {str(value): name for value, name in enumerate(labels)}
        (self.path / "dataset.json").write_text(json.dumps({"name": "cubes", "labels": labels, **self.lists}))
        return check_dataset(self.path, task, **options)


def with_nan(image):
    image = image.astype(np.float32)
    image[2, 3, 4] = np.nan
    return image


def findings(found):
    return {case.name: case.problems + case.warnings for case in found.cases if case.problems + case.warnings}
