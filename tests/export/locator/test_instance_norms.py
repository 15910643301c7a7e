"""A locator with instance norms is exported as a student is: its norms sum in parts where the engine needs it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.runtime import Bundle, Grid, Segmenter, write_volume

FAT_HU, BONE_HU = -100.0, (100.0, 1000.0)


def normalised_bone_locator(slope: float) -> torch.nn.Module:
    """Three classes; fat is never found, bone where the normalised image exceeds 16.75.

    In the case below fat is 10.4, and bone 17.1 to 20.4.
    """
    first, last = torch.nn.Conv3d(1, 1, 1, bias=False), torch.nn.Conv3d(1, 3, 1)
    with torch.no_grad():
        first.weight.fill_(1)
        last.weight.copy_(slope * torch.tensor([0.0, 0.0, 1.0]).reshape(3, 1, 1, 1, 1))
        last.bias.copy_(slope * torch.tensor([0.0, -100.0, -16.75]))
    return torch.nn.Sequential(first, torch.nn.InstanceNorm3d(1), last)


@pytest.fixture
def cases(tmp_path):
    """Bodies with a short bone each, 240 mm long: a patch of 48³ voxels of 6 mm around one is padding but for 1 %."""
    return [write_case(tmp_path, seed) for seed in range(2)]


def write_case(folder, seed):
    image = np.full((20, 16, 80), -1000.0, np.float32)
    image[4:16, 4:12] = FAT_HU
    image[8:12, 6:10, 34:46] = np.random.default_rng(seed).uniform(*BONE_HU, (4, 4, 12))
    labels = np.where(image >= BONE_HU[0], 2, 0).astype(np.uint8)
    grid = Grid(image.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    files = folder / f"image{seed}.nii.gz", folder / f"label{seed}.nii.gz"
    write_volume(files[0], image, grid)
    write_volume(files[1], labels, grid)
    return files


@pytest.fixture
def export(toy_trained, toy_task, cases, tmp_path):
    """Returns a function that exports with the locator; it gives the bundle and what was remarked about norms."""

    def run(slope):
        task = toy_task.replaced(spacing=(6.0, 6.0, 6.0), patch=(48, 48, 48))
        locator = TrainedStudent(model=normalised_bone_locator(slope), task=task, student="tiny")
        notes: list[str] = []
        options = ExportOptions(precisions=["fp32"], cases=ExportCases(gate=cases), locator=locator, threads=1)
        path = export_bundle(toy_trained, tmp_path / "b.bedside", options, lambda *step: notes.append(step[2]))
        return path, [note for note in notes if "norms" in note]

    return run


def test_on_a_padded_patch_the_norms_sum_in_parts_and_the_locator_finds_its_organ(export, cases):
    path, notes = export(slope=4.0)
    assert len(notes) == 1
    assert notes[0].startswith("norms of onnxruntime fp32 change a probability by 0.00")
    operators = {node.op_type for node in onnx.load(path / "locator.onnx").graph.node}
    assert "InstanceNormalization" not in operators
    assert "ReduceL2" in operators
    with Bundle.open(path) as bundle:
        assert bundle.manifest.locator.dice_loss == {"bone": 0.0}
    with Segmenter.load(path, "onnxruntime", threads=1) as segmenter:  # repeats the locator's golden patch
        result = segmenter.segment(cases[0][0])
    assert result.windows_without_organ > 0


def test_where_the_engines_own_norms_are_the_network_they_stay(export):
    _, notes = export(slope=0.001)
    assert notes == []
