"""What public calls accept as arguments, and the messages that refuse everything else."""

import math

import numpy as np
import pytest
import torch
from bedside.runtime import (
    BedsideError,
    Grid,
    InputError,
    Postprocessing,
    Segmenter,
    Task,
    UsageError,
)
from bedside.runtime.arguments import callback
from bedside.runtime.task import Foreground, Intensity, Modality

from .small_scan import AFFINE, GRID, HU


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory, toy):
    return toy.write_bundle(tmp_path_factory.mktemp("bundle") / "toy.bedside", toy.task())


@pytest.fixture(scope="module")
def seg(bundle_folder):
    with Segmenter.load(bundle_folder, "onnxruntime", "fp32", 1) as opened:
        yield opened


@pytest.fixture(scope="module")
def labels(seg):
    return seg.segment_array(HU, AFFINE).labels


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("engine", None, "no engine None; expected one of: auto, tensorrt, openvino, onnxruntime"),
        ("engine", "ONNX", 'no engine "ONNX"; expected one of: auto, tensorrt, openvino, onnxruntime'),
        (
            "precision",
            "FP8",
            'precision: expected auto, fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16, got "FP8"',
        ),
        ("precision", 32, "precision: expected auto, fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16, got 32"),
        ("threads", True, "threads: expected a whole number from 1 to 1024, got True"),
        ("threads", 1.5, "threads: expected a whole number from 1 to 1024, got 1.5"),
        ("threads", 10**6, "threads: expected a whole number from 1 to 1024, got 1000000"),
        ("threads", 10**40, "got a number of more than 18 digits"),
        ("memory_limit", "4G", 'memory_limit: expected a whole number from 1 up, got "4G"'),
        ("memory_limit", -1, "memory_limit: expected a whole number from 1 up, got -1"),
        ("memory_limit", 4e9, "memory_limit: expected a whole number from 1 up, got 4e+09"),
        ("self_test", "no", 'self_test: expected True or False, got "no"'),
        ("path", 123, "bundle: expected a path (text or pathlib.Path), got 123"),
        ("path", None, "bundle: expected a path (text or pathlib.Path), got None"),
        ("path", "", 'bundle: expected a path (text or pathlib.Path), got ""'),
        ("path", b"x.bedside", "bundle: expected a path (text or pathlib.Path), got a bytes"),
    ],
)
def test_load_refuses_what_it_does_not_accept(bundle_folder, option, value, message):
    with pytest.raises(UsageError) as caught:
        Segmenter.load(**{"path": bundle_folder, option: value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("overlap", "0.5", 'overlap: expected 0 ≤ overlap < 1, got "0.5"'),
        ("overlap", True, "overlap: expected 0 ≤ overlap < 1, got True"),
        ("overlap", math.nan, "overlap: expected 0 ≤ overlap < 1, got nan"),
        ("overlap", 1, "overlap: expected 0 ≤ overlap < 1, got 1"),
        ("skip_air", "no", 'skip_air: expected True or False, got "no"'),
        ("skip_air", 1, "skip_air: expected True or False, got 1"),
        ("progress", 5, "progress: expected a function progress(done, total), got 5"),
        ("cancel", True, "cancel: expected a function cancel() that says whether to stop, got True"),
        ("volume", True, "volume: expected a whole number from 0 up, got True"),
        ("volume", -1, "volume: expected a whole number from 0 up, got -1"),
        ("volume", 1.5, "volume: expected a whole number from 0 up, got 1.5"),
        ("replace_nan", "0", 'replace_nan: expected a finite number that float32 can hold, got "0"'),
        ("replace_nan", True, "replace_nan: expected a finite number that float32 can hold, got True"),
        ("replace_nan", math.inf, "replace_nan: expected a finite number that float32 can hold, got inf"),
        ("replace_nan", 1e39, "replace_nan: expected a finite number that float32 can hold, got 1e+39"),
        ("prefer", "SFORM", 'prefer: expected sform, qform, got "SFORM"'),
        ("postprocessing", {}, "postprocessing: expected a Postprocessing, got a dict"),
        ("scan", None, "scan: expected a path, a Volume or a nibabel NIfTI image, got None"),
        ("scan", HU, "got a NumPy array; give an array and its affine to segment_array"),
        ("scan", "", 'scan: expected a path (text or pathlib.Path), got ""'),
        ("scan", b"ct.nii", "scan: expected a path (text or pathlib.Path), got a bytes"),
    ],
)
def test_segment_refuses_what_it_does_not_accept(seg, option, value, message):
    with pytest.raises(UsageError) as caught:
        seg.segment(**{"scan": "ct.nii.gz", option: value})
    assert message in str(caught.value)


def test_numpys_scalars_count_as_numbers(bundle_folder):
    with Segmenter.load(bundle_folder, "onnxruntime", threads=np.int64(1), memory_limit=np.uint64(2**40)) as opened:
        opened.segment_array(HU, AFFINE, overlap=np.float32(0.5), skip_air=np.bool_(False), replace_nan=np.int16(0))


def test_an_exception_in_progress_comes_out_and_the_segmenter_stays_usable(seg, labels):
    def fails(done, total):
        raise KeyError("mine")

    for hook in ({"progress": fails}, {"cancel": lambda: fails(0, 0)}):
        with pytest.raises(KeyError, match="mine"):
            seg.segment_array(HU, AFFINE, **hook)
    assert np.array_equal(seg.segment_array(HU, AFFINE).labels, labels)


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist, torch.from_numpy, np.ma.asarray])
def test_arrays_lists_tensors_and_arrays_without_a_masked_voxel_are_accepted(seg, labels, make):
    assert np.array_equal(seg.segment_array(make(HU), AFFINE).labels, labels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.masked_less(HU, -900), "got a masked array; fill the masked voxels first: .filled(value)"),
        (HU.astype(object), "expected real numbers, got object"),
        (HU.astype(complex), "expected real numbers, got complex128"),
        (HU > 0, "expected real numbers, got bool"),
        ([[1, 2], [3]], "expected an array [X, Y, Z] of numbers"),
        (torch.ones(GRID.shape, requires_grad=True), "expected an array [X, Y, Z] of numbers"),
        ("ct.nii.gz", "expected real numbers, got <U9"),
        (None, "expected real numbers, got object"),
    ],
)
def test_values_that_are_no_scan_are_refused(seg, values, message):
    with pytest.raises(InputError, match=r"^hu: ") as caught:
        seg.segment_array(values, AFFINE)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "affine", [None, "x", np.eye(3), np.eye(4)[:3], AFFINE.astype(str), AFFINE * 1j, np.eye(4, dtype=bool), [[1], 2]]
)
def test_what_is_no_affine_is_refused(seg, affine):
    with pytest.raises(InputError, match="affine: expected") as caught:
        seg.segment_array(HU, affine)
    assert "file" not in str(caught.value)


def test_an_array_of_four_axes_is_refused_without_a_word_of_a_file(seg):
    with pytest.raises(InputError, match=r"three axes .* got shape \(12, 10, 9, 2\); give one 3D volume$"):
        seg.segment_array(np.stack([HU, HU], axis=3), AFFINE)


def test_an_affine_of_whole_numbers_is_accepted():
    assert Grid([12, 10, 9], np.diag([3, 3, 3, 1])) == Grid(np.array([12, 10, 9]), AFFINE) == GRID


@pytest.mark.parametrize("shape", [None, "abc", (2.5, 3, 4), (True, 3, 4), 5, ("1", "2", "3")])
def test_a_shape_is_whole_numbers(shape):
    with pytest.raises(UsageError, match="shape: expected"):
        Grid(shape, AFFINE)


TASK = {
    "name": "toy",
    "modality": "CT",
    "labels": ["background", "fat"],
    "spacing": np.array([1, 1, 1.5]),
    "intensity": Intensity(clip=(-100, np.float32(300)), scale_to=[0, 1]),
}


def test_a_task_accepts_from_python_what_it_accepts_from_a_file():
    task = Task(**TASK, patch=[np.int64(32), 32, 32])
    assert task.modality is Modality.CT
    assert (task.labels, task.spacing, task.patch) == (("background", "fat"), (1.0, 1.0, 1.5), (32, 32, 32))
    assert (task.intensity.clip, task.intensity.scale_to) == ((-100.0, 300.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: expected str, got None"),
        ({"modality": "PET"}, 'modality: expected CT, MR, got "PET"'),
        ({"labels": None}, "labels: expected list, got None"),
        ({"labels": "background"}, "labels: expected list, got str"),
        ({"spacing": (1, 1)}, "spacing: expected list of length 3, got 2"),
        ({"spacing": ("1", "1", "1")}, "spacing: expected float, got str at [0]"),
        ({"intensity": None}, "intensity: expected object, got None"),
        ({"patch": (32.5, 32, 32)}, "patch: expected int, got float at [0]"),
        ({"orientation": 3}, "orientation: expected str, got int"),
    ],
)
def test_a_task_of_wrong_types_is_refused(changes, message):
    with pytest.raises(UsageError) as caught:
        Task(**{**TASK, **changes})
    assert message in str(caught.value)
    with pytest.raises(UsageError):
        Task(**TASK).replaced(**changes)


def test_a_field_that_a_task_does_not_have_is_refused():
    with pytest.raises(UsageError, match="colour"):
        Task(**TASK).replaced(colour="red")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Intensity(clip="ab", scale_to=(0, 1)),
        lambda: Intensity(clip=(0, 1), scale_to=(0, 1), clip_percentiles="yes"),
        lambda: Foreground(above="-500"),
        lambda: Postprocessing(largest_component="liver"),
        lambda: Postprocessing(min_volume_ml={"liver": "1"}),
        lambda: Postprocessing(within_body=1),
    ],
)
def test_structs_of_wrong_types_are_refused(make):
    with pytest.raises(UsageError, match=": expected "):
        make()


@pytest.mark.parametrize("target", ["labels.txt", ".nii.gz", "", 3, None, b"labels.nii"])
def test_a_result_is_saved_under_a_nifti_name(seg, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        seg.segment_array(HU, AFFINE).save(target)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["none/labels.nii.gz", "folder.nii.gz"])
def test_a_result_is_not_saved_where_no_file_can_be(seg, target, tmp_path):
    (tmp_path / "folder.nii.gz").mkdir()
    with pytest.raises(BedsideError) as caught:
        seg.segment_array(HU, AFFINE).save(tmp_path / target)
    assert caught.value.exit_code == 5


def test_a_function_that_takes_another_number_of_arguments_is_refused_before_it_is_called(seg):
    with pytest.raises(
        UsageError, match=r"^progress: expected a function progress\(done, total\), got one of \(done\)$"
    ):
        seg.segment("ct.nii.gz", progress=lambda done: None)
    assert callback("progress", max, "done", "total") is max  # whose signature cannot be read
