import io
import tracemalloc

import msgspec
import numpy as np
import pytest
from bedside.runtime import Grid, Volume
from bedside.training.runs.pictures import (
    ScanSlices,
    case_picture,
    label_colour,
    middle,
    new_figure,
    overlay_picture,
    png,
    ras_spacing,
    towards_ras,
)
from PIL import Image


def test_axes_are_turned_towards_right_anterior_superior():
    stored = np.zeros((4, 3, 2), int)  # axes S, P, L: superior first
    stored[3, 0, 0] = 1  # most superior, most anterior, most right
    turned = towards_ras(stored, "SPL")
    assert turned.shape == (2, 3, 4)
    assert turned[-1, -1, -1] == 1


def test_spacing_goes_with_its_axis():
    assert ras_spacing((1.0, 2.0, 3.0), "SPL") == (3.0, 2.0, 1.0)


def test_planes_go_through_the_voxel_with_most_labels_across():
    labels = np.zeros((5, 5, 5), int)
    labels[1, 2, :] = labels[1, :, 3] = labels[:, 2, 3] = 1
    assert middle(labels) == (1, 2, 3)


def test_planes_of_a_scan_without_labels_go_through_its_middle():
    assert middle(np.zeros((4, 6, 8), int)) == (2, 3, 4)


def test_the_axial_plane_is_cut_across_the_long_axis_of_the_body():
    image = np.arange(24).reshape(2, 3, 4)
    scan = ScanSlices(image, (1.0, 1.0, 1.0), (0.0, 1.0), (0, 0, 3))
    assert scan.cut(image, "axial").tolist() == image[:, :, 3].T.tolist()


def pixels(picture: bytes):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


@pytest.fixture
def cube():
    labels = np.zeros((24, 32, 32), np.uint8)
    labels[8:16, 8:24, 8:24] = 1
    return labels


def test_prediction_is_an_area_and_truth_an_outline_of_the_labels_colour(small_task, cube):
    image, nothing = np.zeros(cube.shape, np.float32), np.zeros_like(cube)
    red, green, blue = (int(label_colour(1)[place : place + 2], 16) for place in (1, 3, 5))

    def coloured(truth, prediction):
        shown = pixels(case_picture(image, truth, prediction, small_task, "t"))
        pure = (abs(shown - [red, green, blue]).sum(axis=-1) < 30).mean()
        tinted = ((shown[..., 0] > 90) & (shown[..., 0] > 2 * shown[..., 1])).mean()
        return pure, tinted

    outline, area = coloured(cube, nothing), coloured(nothing + cube * 0, cube)
    assert 0.001 < outline[0] < 0.05
    assert area[1] > 5 * outline[1]


def test_the_patients_right_is_on_the_viewers_left(small_task):
    """Of an axial plane (the left third of the picture), labelled in the half with x towards the patient's right."""
    labels = np.zeros((24, 32, 32), np.uint8)
    labels[:, :, 16:] = 1  # [D, H, W] of a RAS grid: W grows towards the right
    shown = pixels(case_picture(np.zeros(labels.shape, np.float32), labels * 0, labels, small_task, "t"))
    height, width, _ = shown.shape
    axial = shown[height // 4 : height // 2, : width // 3]
    columns = np.nonzero((axial[..., 0] > 90) & (axial[..., 0] > 2 * axial[..., 1]))[1]
    assert 0 < columns.mean() < axial.shape[1] / 2


def test_an_overlay_colours_the_labels_of_each_map(small_task, cube):
    volume = Volume(np.zeros(cube.shape, np.int16), Grid(cube.shape, np.diag([3.0, 3.0, 5.0, 1.0])))
    maps = {"truth": cube, "variant": cube * 0}
    one, none = (
        pixels(overlay_picture(volume, dict.fromkeys(maps, labels), small_task.labels, small_task, cube))
        for labels in (cube, cube * 0)
    )
    both = pixels(overlay_picture(volume, maps, small_task.labels, small_task, cube))

    def red(shown):
        return ((shown[..., 0] > 90) & (shown[..., 0] > 2 * shown[..., 1])).mean()

    assert red(none) < 0.01 < red(both) < red(one)


def test_a_window_of_percentiles_is_that_of_the_scan(small_task, cube):
    """A ramp of grey values 0…1000: the percentiles 0 and 50 show more white than 0 and 100."""
    ramp = np.linspace(0, 1000, cube.size).reshape(cube.shape).astype(np.float32)
    volume = Volume(ramp, Grid(cube.shape, np.eye(4)))

    def brightness(high: float) -> float:
        intensity = msgspec.structs.replace(small_task.intensity, clip=(0.0, high), clip_percentiles=True)
        task = small_task.replaced(intensity=intensity)
        return pixels(overlay_picture(volume, {"none": cube * 0}, task.labels, task, cube)).mean()

    assert brightness(50.0) > brightness(100.0) + 5


@pytest.mark.parametrize("shape", [(1, 32, 32), (24, 1, 32), (1, 1, 32)])
def test_a_scan_of_one_plane_or_row_is_drawn(small_task, shape):
    labels = np.zeros(shape, np.uint8)
    labels[..., :16] = 1
    shown = pixels(case_picture(np.zeros(shape, np.float32), labels, labels, small_task, "t"))
    assert ((shown[..., 0] > 90) & (shown[..., 0] > 2 * shown[..., 1])).any()  # the label's red


def test_a_legend_names_the_labels_of_both_maps_whatever_plane_they_are_in(small_task, cube):
    task = small_task.replaced(labels=("background", "cube", "corner"))
    image, corner = np.zeros(cube.shape, np.float32), np.zeros(cube.shape, np.int64)
    corner[0, 0, 0] = 2
    one, both = (pixels(case_picture(image, cube, other, task, "t")) for other in (corner * 0, corner))
    height = one.shape[0]
    assert (one[: height // 2] == both[: height // 2]).all()
    assert not np.array_equal(one[-height // 8 :], both[-height // 8 :])


def test_a_picture_needs_few_bytes_per_voxel(small_task):
    """It is drawn while the network's output is in memory; the figure itself takes some 12 MB, 2 per voxel here."""
    truth = np.zeros((160, 200, 200), np.uint8)
    truth[40:80, 40:80, 40:80] = 1
    image, prediction = np.zeros(truth.shape, np.float32), truth.astype(np.int64)
    png(new_figure(1, 1))  # imports
    tracemalloc.start()
    case_picture(image, truth, prediction, small_task, "t")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * truth.size
