"""`bedside export` opens a run, a MONAI bundle, an nnU-Net, or a callable with its weights."""

from __future__ import annotations

import pytest
import torch
from bedside.cli.main import run as bedside
from bedside.cli.options.network import NetworkOptions
from bedside.runtime.errors import InputError, UsageError

from ...export.networks.monai_folder import inference, metadata, unet, write_bundle
from ...export.networks.nnunet_folder import write_nnunet


def test_a_source_is_recognised_by_its_content(tmp_path):
    bundle = write_bundle(tmp_path / "monai", inference(), metadata(), unet())
    assert NetworkOptions(source=bundle).opened(None).student == "UNet"
    nnunet = write_nnunet(tmp_path)
    assert NetworkOptions(source=nnunet, fold="0", orientation="RAS").opened(None).student == "PlainConvUNet"


def test_a_callable_has_weights_and_a_task(tmp_path, monkeypatch):
    (tmp_path / "named_networks.py").write_text("from torch import nn\ndef build(): return nn.Conv3d(1, 14, 1)\n")
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(14, 1, 1, 1, 1), "bias": torch.zeros(14)}, "w.pt")
    options = NetworkOptions(network="named_networks:build", weights=tmp_path / "w.pt", task="btcv")
    assert options.opened(None).task.name == "btcv"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected either a run, MONAI bundle or nnU-Net folder, or --network"),
        ({"source": "run", "network": "a:b"}, "expected either a run"),
        ({"network": "a:b", "task": "btcv"}, "--network goes with --weights FILE and --task"),
        ({"network": "a:b", "fold": "0"}, "--fold does not go with --network"),
        ({"source": "run", "weights": "w.pt"}, "--weights does not go with a student's run"),
        ({"source": "monai", "fold": "0"}, "--fold does not go with a MONAI bundle"),
        ({"source": "nnunet", "task": "btcv"}, "--task does not go with an nnU-Net"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, given, message):
    if given.get("source") == "monai":
        given["source"] = write_bundle(tmp_path / "monai", inference(), metadata(), unet())
    elif given.get("source") == "nnunet":
        given["source"] = write_nnunet(tmp_path)
    elif "source" in given:
        given["source"] = tmp_path
        (tmp_path / "config.toml").touch()
    with pytest.raises(UsageError, match=message):
        NetworkOptions(**given).opened(None)


def test_a_folder_that_is_no_source_is_refused_with_what_was_expected(tmp_path):
    with pytest.raises(InputError, match=r"is not a run directory, no MONAI bundle \(configs/metadata\.json\) and no"):
        NetworkOptions(source=tmp_path).opened(None)


def test_a_source_that_is_missing_is_named_before_anything_else_is_asked_for(tmp_path, capsys):
    assert bedside(["export", str(tmp_path / "gone"), "-o", str(tmp_path / "out.bedside")]) == 3  # nor --calibration
    assert '"gone" does not exist; expected a run directory' in capsys.readouterr().err


def test_a_refusal_is_one_line_with_the_exit_code_and_nothing_is_written(tmp_path, capsys):
    described = inference()
    described["preprocessing"]["transforms"].append({"_target_": "HistogramNormalized", "keys": "image"})
    bundle = write_bundle(tmp_path / "monai", described, metadata(), unet())
    out = tmp_path / "out.bedside"
    assert bedside(["export", str(bundle), "-o", str(out), "--precision", "fp32"]) == 3
    assert (
        capsys.readouterr().err
        == "bedside: error: preprocessing: HistogramNormalized has no translation into a task of bedside\n"
    )
    assert not out.exists()
