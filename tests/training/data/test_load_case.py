"""A case in memory with every reason against it, worded for a data set."""

import numpy as np
import pytest
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.dataset import Case
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.load_case import load_case, memory_needed

from .cubes import GRID, SHAPE, scan, truth


@pytest.fixture
def write(tmp_path):
    """Writes a scan and a label map; returns the case."""

    def case(labels=None, image=None, **fields):
        write_volume(tmp_path / "ct.nii", scan() if image is None else image, GRID)
        write_volume(tmp_path / "label.nii", truth() if labels is None else labels, GRID)
        return Case("case", tmp_path / "ct.nii", tmp_path / "label.nii", **fields)

    return case


def test_image_and_label_map_come_on_the_tasks_grid(write, cubes_task):
    loaded = load_case(write(), 2, cubes_task)
    assert loaded.problems == []
    assert loaded.model_input.array.shape == loaded.labels.shape == SHAPE[::-1]
    assert np.array_equal(loaded.labels, truth().T)


def test_without_a_task_nothing_is_preprocessed(write):
    loaded = load_case(write(), 2, None)
    assert (loaded.problems, loaded.model_input, loaded.labels) == ([], None, None)
    assert np.array_equal(loaded.scan.data, scan())


@pytest.mark.parametrize(("needs_label", "problems"), [(True, 1), (False, 0)])
def test_a_missing_label_map_is_a_problem_where_it_is_needed(write, cubes_task, needs_label, problems):
    loaded = load_case(Case("case", write().image), 2, cubes_task, needs_label=needs_label)
    assert len(loaded.problems) == problems
    assert loaded.model_input is not None
    assert loaded.labels is None


def test_of_many_unknown_labels_five_are_named(write):
    labels = truth()
    labels[0, 0, :8] = range(10, 18)
    (problem,) = load_case(write(labels), 2, None).problems
    assert problem.startswith('"label.nii": expected labels 0…1, got 10, 11, 12, 13, 14, …; renumber')
    assert "ignore label" not in problem  # of which there is one


def test_the_ignore_label_takes_one_value_whatever_it_was(write):
    labels = truth()
    labels[0, 0, 0] = 7
    loaded = load_case(write(labels, ignore=7), 2, None)
    assert (loaded.problems, loaded.truth.data.dtype) == ([], np.uint16)
    assert np.unique(loaded.truth.data).tolist() == [0, 1, IGNORED]


def test_a_scan_that_cannot_be_used_leaves_the_label_map_checked(write, cubes_task):
    loaded = load_case(write(truth(3), np.full(SHAPE, 7, np.int16)), 2, cubes_task)
    assert len(loaded.problems) == 2
    assert (loaded.scan, loaded.truth, loaded.model_input, loaded.labels) == (None, None, None, None)


def test_the_memory_of_a_case_grows_with_both_grids(write, cubes_task):
    voxels = np.prod(SHAPE)
    assert memory_needed(write(), None) == voxels * (8 + 17)
    assert memory_needed(write(), cubes_task.replaced(spacing=(2.0, 2.0, 2.5))) == voxels * (8 + 8 * 17)


def test_a_case_whose_header_cannot_be_read_needs_no_memory(tmp_path):
    assert memory_needed(Case("case", tmp_path / "gone.nii"), None) == 0


def test_a_label_map_stored_along_other_axes_is_that_of_the_image(write, cubes_task):
    case = write()
    write_volume(case.label, truth()[::-1, ::-1], GRID.reoriented("LPS"))
    loaded = load_case(case, 2, cubes_task)
    assert (loaded.problems, loaded.truth.grid) == ([], GRID)
    assert np.array_equal(loaded.labels, truth().T)
