import numpy as np
import pytest
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Intensity, Modality, Task
from bedside.training.data.dataset import Case, Dataset
from bedside.training.data.prepare import prepare_cases


@pytest.fixture(scope="session")
def small_task():
    """A cube of bright tissue in a grey body: two classes, 32×64×64 windows."""
    return Task(
        name="cube",
        modality=Modality.CT,
        labels=("background", "cube"),
        spacing=(4.0, 4.0, 4.0),
        intensity=Intensity(clip=(-200.0, 300.0), scale_to=(0.0, 1.0)),
        patch=(64, 64, 32),
    )


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory, small_task):
    """Three 70×66×36 scans at 4 mm, each with a 12-voxel cube of 200 HU somewhere else."""
    folder = tmp_path_factory.mktemp("cubes")
    cases = []
    for number in range(3):
        image = np.full((70, 66, 36), -1000, np.int16)
        image[8:62, 8:58, :] = 40
        labels = np.zeros(image.shape, np.uint8)
        place = (slice(20 + 6 * number, 32 + 6 * number), slice(20, 32), slice(12, 24))
        image[place], labels[place] = 200, 1
        grid = Grid(image.shape, np.diag([4.0, 4.0, 4.0, 1.0]))
        write_volume(folder / f"case{number}.nii.gz", image, grid)
        write_volume(folder / f"case{number}_label.nii.gz", labels, grid)
        cases.append(Case(f"case{number}", folder / f"case{number}.nii.gz", folder / f"case{number}_label.nii.gz"))
    return Dataset("cubes", small_task.labels, tuple(cases[:2]), tuple(cases[2:]), (), folder)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, small_dataset, small_task):
    return prepare_cases(small_dataset.training, small_task, tmp_path_factory.mktemp("prepared"))
