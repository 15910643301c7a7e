"""The folder of a trained nnU-Net v2 becomes a network with a task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks import open_nnunet
from bedside.export.networks.nnunet import is_nnunet
from bedside.runtime import Grid, Segmenter, write_volume
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task import Intensity, Modality

from .nnunet_folder import described, network, plans, write_nnunet


def changed_plans(**configuration):
    content = plans()
    content["configurations"]["3d_fullres"].update(configuration)
    return content


def test_the_task_has_the_plans_grid_and_intensities_in_bedsides_order(tmp_path):
    found = open_nnunet(write_nnunet(tmp_path), orientation="LPS")
    task = found.task
    assert (task.name, task.modality) == ("Dataset001_Tiny", Modality.CT)
    assert task.labels == ("background", "fat", "bone")  # by value; "ignore" has no output
    # nnU-Net's arrays are stored z y x; transposed by (1, 0, 2) the network sees y z x: D = y, H = z, W = x.
    assert (task.orientation, task.spacing, task.patch) == ("LSP", (3.0, 2.0, 4.0), (32, 24, 16))
    assert task.intensity == Intensity(clip=(-800.0, 1200.0), subtract=100.0, divide=200.0, padding=0.0)
    assert found.student == "PlainConvUNet"
    assert found.metrics["origin"] == "nnU-Net v2, Dataset001_Tiny, 3d_fullres, fold_0, checkpoint_final.pth"
    patch = torch.rand(1, 1, *task.patch.dhw)
    assert torch.equal(found.model(patch), network()(patch))


def test_mr_is_standardised_by_the_scans_own_mean(tmp_path):
    task = open_nnunet(
        write_nnunet(tmp_path, changed_plans(normalization_schemes=["ZScoreNormalization"])), orientation="LPS"
    ).task
    assert task.modality is Modality.MR
    assert task.intensity == Intensity(clip=(0, 100), clip_percentiles=True, standardise=True, padding=0.0)


def test_a_reader_that_reorients_needs_no_orientation(tmp_path):
    content = plans()
    content["image_reader_writer"] = "NibabelIOWithReorient"
    assert open_nnunet(write_nnunet(tmp_path, content)).task.orientation == "RSA"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nnunet")
    network = open_nnunet(write_nnunet(folder), orientation="LPS")
    return export_bundle(network, folder / "tiny.bedside", ExportOptions(precisions=["fp32"], threads=1))


@pytest.mark.parametrize("stored", ["LPS", "RAI"])
def test_the_bundle_labels_a_scan_as_the_network_does(bundle, tmp_path, stored):
    """One window, no resampling: nnU-Net's steps are written out here. A scan stored otherwise is turned first."""
    scan = np.random.default_rng(0).uniform(-1500, 2000, (30, 16, 20)).astype(np.float32)  # x y z, stored LPS
    kept = scan if stored == "LPS" else scan[::-1, ::-1, ::-1]
    axes = np.diag([-3.0, -4.0, 2.0, 1.0] if stored == "LPS" else [3.0, 4.0, -2.0, 1.0])
    write_volume(tmp_path / "scan.nii.gz", kept, Grid(kept.shape, axes))
    with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1) as segmenter:
        labels = segmenter.segment(tmp_path / "scan.nii.gz", skip_air=False).labels

    array = ((np.clip(scan.T, -800, 1200) - 100) / 200).transpose(1, 0, 2)  # y z x
    padded = np.pad(array, ((0, 0), (2, 2), (1, 1)))  # to the patch, 16 24 32, with 0
    with torch.inference_mode():
        found = network()(torch.from_numpy(padded)[None, None]).argmax(1)[0].numpy()[:, 2:-2, 1:-1]
    expected = found.transpose(1, 0, 2).T
    if stored != "LPS":
        expected = expected[::-1, ::-1, ::-1]
    assert len(np.unique(expected)) == 3
    assert np.mean(labels == expected) >= 0.9999


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            changed_plans(normalization_schemes=["ZScoreNormalization"], use_mask_for_norm=[True]),
            "ZScoreNormalization with use_mask_for_norm.* has no translation",
        ),
        (changed_plans(normalization_schemes=["RGBTo01Normalization"]), "RGBTo01Normalization has no translation"),
        (changed_plans(previous_stage="3d_lowres"), "a cascade has no translation: .* what 3d_lowres found"),
        (changed_plans(preprocessor_name="MyPreprocessor"), "MyPreprocessor with .* has no translation"),
        (changed_plans(resampling_fn_data="no_resampling_data_or_seg_to_shape"), "no_resampling.* has no translation"),
        (changed_plans(patch_size=[16, 24], spacing=[1.0, 1.0]), "3d_fullres. is a configuration of a 2D network"),
        (plans() | {"transpose_forward": [0, 1, 1]}, r"expected transpose_forward to order .*, got \[0, 1, 1\]"),
        (changed_plans(spacing=[0.0, 1.0, 1.0]), r"plans\.json: spacing"),
        (plans() | {"image_reader_writer": "Tiff3DIO"}, "the reader Tiff3DIO has no translation"),
        (plans() | {"foreground_intensity_properties_per_channel": {}}, "foreground_intensity_properties_per_channel"),
    ],
)
def test_plans_without_a_translation_are_refused_by_name(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        open_nnunet(write_nnunet(tmp_path, content), orientation="LPS")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"background": 0, "whole": [1, 2], "core": 2}}, '"whole" is a region of several labels'),
        ({"labels": {"background": 0, "liver": []}}, 'the label "liver" has no value; expected a number'),
        ({"labels": {"background": 0, "fat": 2}}, r"expected labels 0, 1, …, got \[0, 2\]"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, "2 input channels; bedside gives one image"),
    ],
)
def test_a_data_set_without_a_translation_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        open_nnunet(write_nnunet(tmp_path, described=described() | change), orientation="LPS")


def test_a_patch_that_the_strides_do_not_divide_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"the network refuses a patch \[1, 1, D, H, W\] of 15×24×32"):
        open_nnunet(write_nnunet(tmp_path, changed_plans(patch_size=[15, 24, 32])), orientation="LPS")


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logging": Evil()}, r"checkpoint_final\.pth.* holds Python objects \(.*\), which could run code"),
        ({"init_args": {}}, "checkpoint_final.pth.* missing required field `configuration`"),
        ({"init_args": {"configuration": "2d"}}, 'no configuration "2d"'),
        ({"network_weights": {}}, "got no tensor"),
    ],
)
def test_another_checkpoint_is_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        open_nnunet(write_nnunet(tmp_path, **changes), orientation="LPS")
    assert not (tmp_path / "executed").exists()


def test_the_fold_is_the_only_one_or_the_one_that_is_named(tmp_path):
    trained = write_nnunet(tmp_path)
    assert open_nnunet(trained, fold="0", orientation="LPS").metrics["origin"].endswith("fold_0, checkpoint_final.pth")
    (trained / "fold_all").mkdir()
    with pytest.raises(InputError, match=r"has 2 folds \(0, all\); give one of them as --fold"):
        open_nnunet(trained, orientation="LPS")
    with pytest.raises(InputError, match=r"expected fold_all/checkpoint_final\.pth or checkpoint_best\.pth"):
        open_nnunet(trained, fold="all", orientation="LPS")
    (trained / "fold_0" / "checkpoint_final.pth").rename(trained / "fold_all" / "checkpoint_best.pth")
    assert (
        open_nnunet(trained, fold="all", orientation="LPS").metrics["origin"].endswith("fold_all, checkpoint_best.pth")
    )


def test_a_folder_without_plans_is_no_nnunet(tmp_path):
    trained = write_nnunet(tmp_path)
    assert is_nnunet(trained)
    assert not is_nnunet(tmp_path)
    assert json.loads((trained / "plans.json").read_text())["plans_name"] == "nnUNetPlans"
