"""`bedside export` of networks that bedside did not train: what is refused ends in one line that names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bedside.cli.main import run as bedside

from ..export.networks import monai_folder, nnunet_folder

PLAIN = torch.nn.Conv3d(1, 3, 1)
TASK = """
name = "two organs"
modality = "CT"
labels = ["background", "fat", "bone"]
spacing = [3.0, 3.0, 3.0]
patch = [16, 16, 16]
[intensity]
clip = [-100.0, 200.0]
scale_to = [0.0, 1.0]
"""
MODULE = """
from torch import nn

def build():
    return nn.Conv3d(1, 3, 1)

def four():
    return nn.Conv3d(1, 4, 1)

def strided():
    return nn.Conv3d(1, 3, 1, stride=2)

class Named(nn.Conv3d):
    def forward(self, x):
        return {"logits": super().forward(x)}

def named():
    return Named(1, 3, 1)
"""


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Exports from the folder of the inputs, which must fail; returns the line and checks that nothing was written."""
    monkeypatch.chdir(tmp_path)

    def check(*words: str, code: int) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert bedside(["export", *words, "-o", "new.bedside", "--precision", "fp32", "-q"]) == code
        out, err = capfd.readouterr()
        assert out == ""
        (line,) = err.strip().splitlines()
        assert line.startswith("bedside: error: ")
        assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == before
        return line

    return check


@pytest.fixture
def own(tmp_path):
    """A module that builds networks, a task, and weights of the first network."""
    (tmp_path / "builders.py").write_text(MODULE)
    (tmp_path / "task.toml").write_text(TASK)
    torch.save(PLAIN.state_dict(), tmp_path / "weights.pt")
    torch.save(PLAIN, tmp_path / "pickled.pt")
    torch.save({"weight": torch.full((3, 1, 1, 1, 1), torch.nan), "bias": torch.zeros(3)}, tmp_path / "nan.pt")
    torch.save({"weight": torch.zeros(4, 1, 1, 1, 1), "bias": torch.zeros(4)}, tmp_path / "four.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "weights.pt").read_bytes()[:200])


OWN = ("--network", "builders:build", "--weights", "weights.pt", "--task", "task.toml")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (OWN[:2], 2, "--network goes with --weights FILE and --task NAME or task.toml"),
        (("run", *OWN), 2, "expected either a run, MONAI bundle or nnU-Net folder, or --network"),
        ((*OWN, "--fold", "0"), 2, "--fold does not go with --network"),
        ((*OWN, "--trainable"), 2, "--trainable is for bedside's own students; distill cannot train "),
        ((*OWN, "--weights", "gone.pt"), 3, 'no weights at "gone.pt"'),
        ((*OWN, "--weights", "cut.pt"), 3, '"cut.pt" cannot be read as a checkpoint of plain tensors'),
        (
            (*OWN, "--weights", "pickled.pt"),
            3,
            '"pickled.pt" cannot be read as a checkpoint of plain tensors: it holds',
        ),
        ((*OWN, "--weights", "nan.pt"), 3, '"nan.pt": "weight" holds NaN or infinity'),
        ((*OWN, "--weights", "four.pt"), 3, 'expected "weight" of shape (3, 1, 1, 1, 1), got (4, 1, 1, 1, 1)'),
        ((*OWN, "--task", "gone.toml"), 2, 'no task file "gone.toml"; check the path, or give one of'),
        ((*OWN, "--network", "missing:build"), 2, 'no module "missing"'),
        ((*OWN, "--network", "builders:four", "--weights", "four.pt"), 2, "the network has 4 classes, the task"),
        ((*OWN, "--network", "builders:strided"), 2, "the network returns [1, 3, 8, 8, 8] for a patch"),
        ((*OWN, "--network", "builders:named"), 2, "the network returns a dict with logits"),
    ],
)
def test_a_network_of_ones_own(refused, own, words, code, message):
    assert message in refused(*words, code=code)


def nnunet(folder: Path, plans: Callable[[dict], object], dataset: dict | None = None, **checkpoint: object) -> None:
    content = nnunet_folder.plans()
    plans(content["configurations"]["3d_fullres"])
    written = nnunet_folder.write_nnunet(folder, content, nnunet_folder.described() | (dataset or {}), **checkpoint)
    written.rename(folder / "trained")


def unchanged(content: dict) -> None:
    """Leaves the plans as they are."""


@pytest.mark.parametrize(
    ("plans", "dataset", "message"),
    [
        (
            lambda plans: plans.update(patch_size=[24, 32], spacing=[2.0, 3.0]),
            {},
            '"3d_fullres" is a configuration of a 2D network; bedside runs those in 3D',
        ),
        (lambda plans: plans.update(previous_stage="3d_lowres"), {}, "a cascade has no translation"),
        (
            lambda plans: plans.update(normalization_schemes=["RescaleTo01Normalization"]),
            {},
            "RescaleTo01Normalization has no translation",
        ),
        (
            lambda plans: plans.update(normalization_schemes=["NoNormalization"]),
            {},
            "NoNormalization has no translation",
        ),
        (unchanged, {"channel_names": {"0": "T1", "1": "T2"}}, "2 input channels; bedside gives one image"),
        (unchanged, {"labels": {"background": 0, "whole": [1, 2], "core": 2}}, '"whole" is a region of several'),
        (unchanged, {"labels": {"background": 0, "bone": 1}}, 'expected "decoder.seg_layers.1.'),
        (lambda plans: plans.pop("spacing"), {}, "missing required field `spacing`"),
        (
            lambda plans: plans["architecture"].update(network_class_name="nets.STUNet"),
            {},
            'the network "STUNet" has no translation',
        ),
    ],
)
def test_an_nnunet_without_a_translation(refused, tmp_path, plans, dataset, message):
    nnunet(tmp_path, plans, dataset)
    assert message in refused("trained", "--orientation", "LPS", code=3)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("trained",), 3, "give --orientation, their axes such as LPS, or --calibration"),
        (("trained", "--orientation", "LPX"), 2, "orientation"),
        (("trained", "--orientation", "LPS", "--fold", "7"), 3, "expected fold_7/checkpoint_final.pth"),
        (("trained", "--task", "btcv"), 2, "--task does not go with an nnU-Net"),
        (("trained/fold_0",), 3, "no trained nnU-Net (plans.json and dataset.json)"),
        (("trained/fold_0/checkpoint_final.pth",), 3, "no trained nnU-Net (plans.json and dataset.json)"),
        (("gone",), 3, '"gone" does not exist; expected a run directory'),
    ],
)
def test_a_wrong_call_for_an_nnunet(refused, tmp_path, words, code, message):
    nnunet(tmp_path, unchanged)
    assert message in refused(*words, code=code)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
def test_a_damaged_file_of_an_nnunet_is_named(refused, tmp_path, name):
    nnunet(tmp_path, unchanged)
    damaged = tmp_path / "trained" / name
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert f'"{damaged.name}" cannot be read' in refused("trained", "--orientation", "LPS", code=3)


def test_a_checkpoint_of_an_nnunet_that_needs_pickle_is_named(refused, tmp_path):
    nnunet(tmp_path, unchanged, logging=Path())
    line = refused("trained", "--orientation", "LPS", code=3)
    assert '"checkpoint_final.pth" cannot be read as a checkpoint of plain tensors: it holds Python objects' in line


def monai(folder: Path, **changes: object) -> Path:
    described = monai_folder.inference() | changes
    return monai_folder.write_bundle(folder / "monai", described, monai_folder.metadata(), monai_folder.unet())


def with_transform(**transform: object) -> dict:
    preprocessing = monai_folder.inference()["preprocessing"]
    preprocessing["transforms"].append(transform)
    return preprocessing


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"preprocessing": with_transform(_target_="ScaleIntensityd", keys="image")},
            "preprocessing: ScaleIntensityd has no translation",
        ),
        (
            {"preprocessing": with_transform(_target_="scripts.own.Denoised", keys="image")},
            'the transform "scripts.own.Denoised" is not MONAI\'s',
        ),
        ({"network_def": {"_target_": "scripts.net.Net"}}, 'network_def: "scripts.net.Net" has no translation'),
        ({"network_def": "$import_net()"}, "bedside reads a bundle as data and evaluates nothing"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "SimpleInferer has no translation"),
        ({"classes": 5}, "holds the weights of another network"),
    ],
)
def test_a_monai_bundle_without_a_translation(refused, tmp_path, changes, message):
    monai(tmp_path, **changes)
    assert message in refused("monai", code=3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("configs/inference.json", "expected configs/inference.json or .yaml"),
        ("configs/metadata.json", "no MONAI bundle (configs/metadata.json)"),
        ("models/model.pt", "model.pt"),
    ],
)
def test_a_missing_file_of_a_monai_bundle_is_named(refused, tmp_path, name, message):
    (monai(tmp_path) / name).unlink()
    assert message in refused("monai", code=3)


def test_a_monai_bundle_with_more_labels_than_classes(refused, tmp_path):
    path = monai(tmp_path) / "configs" / "metadata.json"
    described = json.loads(path.read_text())
    described["network_data_format"]["outputs"]["pred"]["channel_def"]["3"] = "liver"
    path.write_text(json.dumps(described))
    assert 'the network has 3 classes, the task "Two organs" 4 labels' in refused("monai", code=2)


def test_a_monai_bundle_whose_weights_need_pickle(refused, tmp_path):
    torch.save(monai_folder.unet(), monai(tmp_path) / "models" / "model.pt")
    assert '"model.pt" cannot be read as a checkpoint of plain tensors: it holds Python' in refused("monai", code=3)


def test_a_damaged_zip_of_a_monai_bundle_is_no_bundle(refused, tmp_path):
    shutil.make_archive(str(tmp_path / "zipped"), "zip", monai(tmp_path))
    archive = tmp_path / "zipped.zip"
    archive.write_bytes(archive.read_bytes()[:300])
    assert '"zipped.zip" is not a run directory, no MONAI bundle' in refused("zipped.zip", code=3)
