"""A locator gets into a bundle if it costs no organ anything, and only there."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.export.locator.settings import LocatorSettings
from bedside.runtime import Bundle, Grid, Segmenter, UsageError, write_volume
from bedside.runtime.scans.nifti import read_labels
from bedside.training.runs.learned_from import LearnedFrom

FAT_HU, BONE_HU = -100.0, 800.0


def bone_locator(bias: float) -> torch.nn.Module:
    """Three classes; fat is never found, bone where the image exceeds ``bias`` (fat is 0.45, bone 0.9)."""
    network = torch.nn.Conv3d(1, 3, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([0.0, 0.0, 60.0]).reshape(3, 1, 1, 1, 1))
        network.bias.copy_(torch.tensor([0.0, -30.0, -60.0 * bias]))
    return network


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path, "one", shift=0)


@pytest.fixture
def other_case(tmp_path):
    return write_case(tmp_path, "other", shift=2)


def write_case(folder, name, shift):
    """A long body without label, which the student takes for fat, and a short bone."""
    image = np.full((20, 16, 160), -1000.0, np.float32)
    image[4:16, 4:12] = FAT_HU
    image[8:12, 6:10, 70 + shift : 80 + shift] = BONE_HU
    labels = np.where(image == BONE_HU, 2, 0).astype(np.uint8)
    grid = Grid(image.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    files = folder / f"{name}.nii.gz", folder / f"{name}-label.nii.gz"
    write_volume(files[0], image, grid)
    write_volume(files[1], labels, grid)
    return files


@pytest.fixture
def export(toy_trained, toy_task, case, other_case, tmp_path):
    def run(bias=0.7, cases=None, **task_changes):
        task = toy_task.replaced(spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8), **task_changes)
        locator = TrainedStudent(
            model=bone_locator(bias), task=task, student="tiny", learned_from=LearnedFrom(data_hash="ab" * 32)
        )
        cases = ExportCases(gate=[case, other_case]) if cases is None else cases
        options = ExportOptions(precisions=["fp32"], cases=cases, locator=locator, threads=1)
        return export_bundle(toy_trained, tmp_path / "b.bedside", options)

    return run


def test_a_locator_that_costs_nothing_is_in_the_bundle_with_its_figures(export, case):
    path = export()
    with Bundle.open(path) as bundle:
        entry = bundle.manifest.locator
    assert (entry.network, entry.data_hash, entry.cases) == ("tiny", "ab" * 32, 2)
    assert (entry.threshold, entry.margin_mm, entry.recall) == (0.5, 12.0, 1.0)
    assert entry.organ_recall == {"bone": 1.0}
    assert entry.dice_loss == {"bone": 0.0}
    assert entry.windows_saved > 0.5
    assert set(entry.files) <= set(bundle.manifest.files)
    assert "A small network (tiny) at 6 × 6 × 6 mm finds the organs first" in (path / "README.md").read_text()
    with Segmenter.load(path, "onnxruntime", threads=1) as segmenter:  # repeats the golden patch
        result = segmenter.segment(case[0])
    assert result.windows_without_organ > result.windows


def test_a_locator_that_costs_an_organ_is_left_out_with_organ_and_figure(export, caplog, monkeypatch):
    too_small = LocatorSettings(threshold=1 - 1e-12, margin_mm=0.0, recall=0.0)
    monkeypatch.setattr("bedside.export.locator.adding.choose_settings", lambda *_: too_small)
    with caplog.at_level(logging.WARNING, "bedside.export"):
        path = export()
    with Bundle.open(path) as bundle:
        manifest = bundle.manifest
    assert manifest.locator is None
    assert manifest.locator_left_out == (
        "bone: Dice 0.0000, 1.0000 below that of all windows (at most 0.002); "
        "bone: it finds 0 % of the voxels before the margin (at least 10 %)"
    )
    assert "locator.onnx" not in manifest.files
    assert "the locator is left out: bone: Dice 0.0000" in caplog.text


def test_each_case_is_judged_with_the_settings_of_the_others(export, monkeypatch):
    """Where a case takes part in the choice nothing is missed; the others would lose it."""
    fitted = LocatorSettings(threshold=0.5, margin_mm=12.0, recall=1.0)
    too_small = LocatorSettings(threshold=1 - 1e-12, margin_mm=0.0, recall=0.0)
    choose = "bedside.export.locator.adding.choose_settings"
    monkeypatch.setattr(choose, lambda cases, _: fitted if len(cases) == 2 else too_small)
    with Bundle.open(export()) as bundle:
        assert bundle.manifest.locator_left_out == (
            "bone: Dice 0.0000, 1.0000 below that of all windows (at most 0.002)"
        )


def test_a_locator_that_finds_nothing_is_left_out(export):
    with Bundle.open(export(bias=2.0)) as bundle:
        assert bundle.manifest.locator_left_out == ("it misses organs of the gate cases by more than ten of its voxels")


def test_a_locator_of_another_task_is_refused_by_the_field(export):
    with pytest.raises(UsageError, match="the locator's task differs from the student's in: labels"):
        export(labels=("background", "fat", "liver"))


def test_a_locator_without_two_gate_cases_is_refused(export, case):
    wanted = "at least two held-out scans with organs in their label maps, got"
    with pytest.raises(UsageError, match=f"{wanted} none"):
        export(cases=ExportCases(calibration=[case[0]]))
    with pytest.raises(UsageError, match=f"{wanted} 1"):
        export(cases=ExportCases(gate=[case, case]))


def test_gate_cases_without_an_organ_do_not_measure_a_locator(export, case, other_case):
    labels = read_labels(other_case[1])
    write_volume(other_case[1], np.zeros_like(labels.data), labels.grid)
    with pytest.raises(UsageError, match="with organs in their label maps, got 1"):
        export(cases=ExportCases(gate=[case, other_case]))
