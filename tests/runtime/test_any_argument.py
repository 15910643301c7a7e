"""Every public call of the runtime, with wrong values in every argument: accepted as documented, or refused."""

import nibabel as nib
import numpy as np
from bedside.runtime import (
    Bundle,
    Grid,
    Postprocessing,
    SegmentationOptions,
    Segmenter,
    Task,
    Volume,
    load_task,
    open_engine,
    read_labels,
    read_volume,
    write_manifest,
    write_volume,
)
from bedside.runtime.task import Foreground, Intensity

from .small_scan import AFFINE, GRID, HU

TASK = {
    "name": "toy", "modality": "CT", "labels": ("background", "fat"), "spacing": (1, 1, 1), "patch": (32, 32, 32),
    "intensity": Intensity(clip=(-100, 300), scale_to=(0, 1)), "orientation": "RAS", "foreground": Foreground(),
    "anatomy": "", "intended_use": "",
}  # fmt: skip
SEGMENT = dict.fromkeys(["progress", "cancel", "replace_nan", "postprocessing"]) | {"overlap": 0.0, "skip_air": True}
LOAD = {"engine": "onnxruntime", "precision": "fp32", "threads": 1, "memory_limit": 2**40, "self_test": False} | {
    "device": "CPU",
    "trust": None,
}
ENGINE = {"name": "onnxruntime", "threads": 1, "precision": "fp32", "streams": 1, "compiled": None, "device": None}
VARIANT = {"engine": "onnxruntime", "precision": "fp32"}


def test_calls_with_a_bundle(bundle_path, refusals):
    # True counts as 1 nowhere; a missing number of threads, or no limit, is None.
    assert refusals(Segmenter.load, {"path": bundle_path, **LOAD}) == {"path", "engine", "precision", "device"}
    assert refusals(Bundle.open, {"path": bundle_path, "trust": None}) == {"path"}
    with Bundle.open(bundle_path) as bundle:
        for call in (bundle.file, bundle.read):
            assert refusals(call, {"name": "README.md"}) == {"name"}
        assert refusals(bundle.array, {"name": "golden_input.npy"}) == {"name"}
        assert refusals(bundle.model, {"variant": bundle.manifest.variants[0]}) == {"variant"}
        assert refusals(bundle.variant, VARIANT) == {"precision"}  # another engine takes the ONNX
        assert refusals(bundle.offers, VARIANT) == set()
        model = bundle.file("model.fp32.onnx")
        assert refusals(open_engine, {"model": model, **ENGINE}) == {"model", "name", "precision", "streams"}
        manifest = {"directory": bundle_path, "manifest": bundle.manifest}
        assert refusals(write_manifest, manifest) == {"directory", "manifest"}


def test_calls_with_a_scan(bundle_path, tmp_path, refusals):
    with Segmenter.load(bundle_path, "onnxruntime", "fp32", 1, self_test=False) as segmenter:
        scan = {"scan": Volume(HU, GRID), "volume": None, "prefer": None}
        assert refusals(segmenter.segment, {**scan, **SEGMENT}) == {"scan"}
        assert refusals(segmenter.segment_array, {"hu": HU, "affine": AFFINE, **SEGMENT}) == {"hu"}
        assert refusals(segmenter.segment_array(HU, AFFINE).save, {"path": tmp_path / "out.nii.gz"}) == {"path"}


def test_reading_and_writing(tmp_path, refusals):
    nib.save(nib.Nifti1Image(HU, AFFINE), tmp_path / "ct.nii.gz")
    nib.save(nib.Nifti1Image((HU > 0).astype(np.uint8), AFFINE), tmp_path / "labels.nii.gz")
    options = dict.fromkeys(["volume", "replace_nan", "prefer"])
    assert refusals(read_volume, {"path": tmp_path / "ct.nii.gz", **options}) == {"path"}
    assert refusals(read_labels, {"path": tmp_path / "labels.nii.gz", "prefer": None}) == {"path"}
    target = {"path": tmp_path / "out.nii.gz", "data": HU, "grid": GRID, "description": ""}
    assert refusals(write_volume, target) == {"path", "data", "grid"}


def test_geometry(refusals):
    assert refusals(Grid, {"shape": GRID.shape, "affine": AFFINE}) == set()  # (1, 2, 3) and eye(4) are good ones
    assert refusals(GRID.reoriented, {"orientation": "RAS"}) == {"orientation"}
    assert refusals(GRID.to_task_grid, {"orientation": "RAS", "spacing": (2, 2, 2)}) == {"orientation"}
    assert refusals(GRID.distance, {"other": GRID}) == {"other"}
    assert refusals(GRID.coincides, {"other": GRID}) == {"other"}
    assert refusals(Volume, {"data": HU, "grid": GRID}) == {"data", "grid"}


def test_tasks(refusals):
    words = {"name", "anatomy", "intended_use"}
    assert refusals(Task, TASK) == set(TASK) - words - {"patch", "spacing", "foreground"}
    assert refusals(Task(**TASK).index, {"label": "fat"}) == {"label"}
    intensity = {"clip": (0, 1), "scale_to": (0, 1), "clip_percentiles": False, "subtract": None, "divide": None}
    assert refusals(Intensity, intensity) == {"clip", "scale_to"}
    assert refusals(Foreground, {"above": -500, "relative": False}) == set()
    settings = {"largest_component": (), "min_volume_ml": {}, "within_body": False}
    assert refusals(Postprocessing, settings) == set()
    options = dict.fromkeys(["overlap", "volume", "replace_nan", "prefer", "postprocessing"])
    assert refusals(SegmentationOptions, {**options, "skip_air": True, "use_locator": True}) == set()
    assert refusals(load_task, {"source": "btcv"}) == {"source"}
