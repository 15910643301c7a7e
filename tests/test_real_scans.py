"""Real CT and MR from file to label map, with a network whose answer a person can compute.

The toy network labels each voxel by the nearest of three normalised intensities (0, ½, 1), so that a label map follows
from the scan's own voxels: below a quarter of the window background, above three quarters bright, middle between.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer
from bedside.cli.dataset import check as dataset_check
from bedside.cli.evaluate import command as evaluate
from bedside.cli.options.command import typer_function
from bedside.cli.segment import command as segment
from bedside.runtime import Task, load_task, read_labels, read_volume
from bedside.runtime.task import Intensity, Modality
from bedside.training.data.dataset import load_dataset
from typer.testing import CliRunner

app = typer.Typer()
app.command("segment")(typer_function(segment.Segment))
app.command("evaluate")(typer_function(evaluate.Evaluate))
app.command("check")(typer_function(dataset_check.Check))

LABELS = ("background", "middle", "bright")
PATCH = (32, 32, 32)


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done.exit_code, done.stdout


def segmented(bundle: Path, scan: Path, out: Path) -> np.ndarray:
    """Segments by the command line, which must have nothing to say about the scan, and returns the labels."""
    words = ("segment", bundle, "-i", scan, "-o", out, "--engine", "onnxruntime", "--threads", 1, "--quiet")
    assert run(*words)[0] == 0
    return read_labels(out).data


@pytest.fixture
def toy_bundle(toy, tmp_path):
    """Makes a bundle of the toy network for a task's window and modality; without a spacing nothing is resampled."""

    def make(task: Task, spacing: tuple[float, ...] | None = None) -> Path:
        changes = {"labels": LABELS, "patch": PATCH, "spacing": spacing or task.spacing}
        return toy.write_bundle(tmp_path / "toy.bedside", task.replaced(**changes))

    return make


def share_as_computed(labels: np.ndarray, values: np.ndarray, low: float, high: float) -> float:
    """Computes the labels from the raw values alone; voxels on the border of two labels are left out."""
    level = (values.astype(float) - low) / (high - low)
    clear = (np.abs(level - 0.25) > 1e-4) & (np.abs(level - 0.75) > 1e-4)
    return float((labels == np.digitize(level, [0.25, 0.75]))[clear].mean())


def test_head_and_neck_ct_is_labelled_by_its_hounsfield_units(real_data, toy_bundle, tmp_path):
    task = load_task(real_data / "headneck" / "task.toml")
    case = load_dataset(real_data / "headneck").validation[0]
    scan = read_volume(case.image)
    labels = segmented(toy_bundle(task, scan.grid.spacing), case.image, tmp_path / "labels.nii.gz")
    assert share_as_computed(labels, scan.data, *task.intensity.clip) == 1


def test_mr_is_normalised_per_case_over_four_orders_of_magnitude(real_data, toy_bundle, tmp_path):
    task = load_task(real_data / "hippocampus" / "task.toml")
    scans = sorted((read_volume(case.image) for case in load_dataset(real_data / "hippocampus").test), key=brightest)
    bundle = toy_bundle(task)
    assert brightest(scans[-1]) > 1000 * brightest(scans[0])
    for scan in (scans[0], scans[len(scans) // 2], scans[-1]):
        nib.save(nib.Nifti1Image(scan.data, scan.grid.affine), tmp_path / "mr.nii.gz")
        labels = segmented(bundle, tmp_path / "mr.nii.gz", tmp_path / "labels.nii.gz")
        low, high = np.percentile(scan.data, task.intensity.clip)
        assert share_as_computed(labels, scan.data, low, high) == 1
        (tmp_path / "labels.nii.gz").unlink()


def brightest(scan):
    return float(scan.data.max())


@pytest.mark.parametrize(("name", "modality"), [("sub-ct_label-22_ct", "CT"), ("sub-mri_label-6_T2w", "MR")])
def test_a_spine_with_axes_pir_is_labelled_on_its_own_grid(name, modality, real_data, toy_bundle, tmp_path):
    scan = read_volume(real_data / "spine_pir" / f"{name}.nii.gz")
    assert scan.grid.axes == "PIR"
    if modality == "CT":
        low, high = -200.0, 800.0
        intensity = Intensity(clip=(low, high), scale_to=(0.0, 1.0))
    else:
        low, high = np.percentile(scan.data, (1, 99))
        intensity = Intensity(clip=(1.0, 99.0), clip_percentiles=True, scale_to=(0.0, 1.0))
    x, y, z = scan.grid.reoriented("RAS").spacing
    task = Task(name="spine", modality=Modality(modality), labels=LABELS, spacing=(x, y, z), intensity=intensity)
    labels = segmented(toy_bundle(task), real_data / "spine_pir" / f"{name}.nii.gz", tmp_path / "labels.nii.gz")
    assert nib.aff2axcodes(nib.load(tmp_path / "labels.nii.gz").affine) == ("P", "I", "R")
    assert share_as_computed(labels, scan.data, low, high) == 1


def test_an_abdomen_is_segmented_at_another_spacing_and_scored_against_its_organs(real_data, toy_bundle, tmp_path):
    task = Task(
        name="bone",
        modality=Modality.CT,
        labels=LABELS,
        spacing=(3.0, 3.0, 3.0),
        intensity=Intensity(clip=(-200.0, 400.0), scale_to=(0.0, 1.0)),
    )
    scan, truth = (real_data / "abdomen2" / f"s0009_{kind}.nii.gz" for kind in ("ct", "label_btcv13"))
    labels = segmented(toy_bundle(task), scan, tmp_path / "labels.nii.gz")
    hu = read_volume(scan).data
    assert labels.shape == hu.shape
    assert 0.8 < share_as_computed(labels, hu, *task.intensity.clip) < 1  # 1.5 mm by way of 3 mm: borders move
    liver = read_labels(truth).data == 6
    assert (labels[liver] == 1).mean() > 0.95  # soft tissue
    code, shown = run("evaluate", "-p", truth, "-t", truth, "--json", "--quiet")
    scores = json.loads(shown)
    assert code == 0
    assert len(scores["organs"]) == 13
    assert all(organ["dice"] == 1 for organ in scores["organs"].values())


@pytest.mark.parametrize("name", ["headneck", "hippocampus"])
def test_nothing_is_wrong_with_a_published_data_set(name, real_data):
    folder = real_data / name
    code, shown = run("check", folder, "--task", folder / "task.toml", "--json", "--quiet")
    found = json.loads(shown)
    assert (code, found["problems"], found["warnings"]) == (0, [], [])
    assert all(not case["warnings"] for case in found["cases"])
