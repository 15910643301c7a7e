"""A MONAI bundle becomes a network with a task; its labels are those of MONAI's own pipeline."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks import open_monai_bundle
from bedside.export.networks.monai_bundle import is_monai_bundle
from bedside.runtime import Grid, Segmenter, write_volume
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task import Intensity
from bedside.runtime.task_presets import PRESETS
from monai.bundle import ConfigParser
from monai.networks.nets.swin_unetr import SwinUNETR

from .monai_folder import inference, metadata, unet, write_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "two_organs", inference(), metadata(), unet())


def opened(folder, changed_inference=None, changed_metadata=None, **options):
    """Opens a bundle with other configuration files."""
    written = write_bundle(folder / "changed", changed_inference or inference(), changed_metadata or metadata(), unet())
    return open_monai_bundle(written, **options)


def test_the_task_has_the_bundles_labels_grid_and_intensities_in_bedsides_order(bundle):
    found = open_monai_bundle(bundle)
    task = found.task
    assert task.labels == ("background", "Left Kidney", "Right Kidney")
    assert (task.orientation, task.spacing) == (
        "SAR",
        (4.0, 2.0, 3.0),
    )  # MONAI's first axis, R, is D, the last of x y z
    assert task.patch == (64, 32, 32)
    assert task.intensity == Intensity(clip=(-1000.0, 1000.0), scale_to=(-1.0, 1.0), padding=0.0)
    assert found.student == "UNet"
    assert found.metrics["origin"] == "MONAI bundle Two organs, version 0.1.0"
    patch = torch.rand(1, 1, *task.patch.dhw)
    assert torch.equal(found.model(patch), unet()(patch))


def test_a_zip_of_the_folder_is_the_same(bundle, tmp_path):
    found = open_monai_bundle(bundle)
    for base, top in ((bundle, "."), (bundle.parent, bundle.name)):
        archive = tmp_path / "zipped" / base.name
        shutil.make_archive(str(archive), "zip", base, top)
        zipped = open_monai_bundle(archive.with_name(f"{archive.name}.zip"))
        assert (zipped.task, zipped.metrics) == (found.task, found.metrics)


def test_labels_of_a_swinunetr_are_those_of_monais_own_pipeline(tmp_path):
    torch.manual_seed(1)
    network = SwinUNETR(in_channels=1, out_channels=3, feature_size=12, num_heads=(1, 2, 4, 8)).eval()
    described = inference()
    described["network_def"] = {
        "_target_": "monai.networks.nets.SwinUNETR",
        "img_size": [64, 64, 64],
        "in_channels": 1,
        "out_channels": "@classes",
        "feature_size": 12,
        "num_heads": [1, 2, 4, 8],
    }
    described["inferer"]["roi_size"] = [64, 64, 64]
    folder = write_bundle(tmp_path / "swin", described, metadata(), network)
    scan = tmp_path / "scan.nii.gz"
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.uniform(-900, 900, (10, 5, 6)), np.ones((8, 12, 9))).astype(np.float32)
    write_volume(scan, blocks, Grid(blocks.shape, np.diag([-3.0, -2.0, -4.0, 1.0])))  # stored LPI, turned by both

    out = export_bundle(
        open_monai_bundle(folder), tmp_path / "swin.bedside", ExportOptions(precisions=["fp32"], threads=1)
    )
    with Segmenter.load(out, "onnxruntime", "fp32", threads=1) as segmenter:
        labels = segmenter.segment(scan, skip_air=False).labels
    expected = labels_of_monai(folder, network, scan)
    assert len(np.unique(expected)) > 1
    assert np.mean(labels == expected) >= 0.995


def labels_of_monai(folder, network, scan):
    """Runs what a bundle describes as MONAI's own evaluator does."""
    parser = ConfigParser()
    parser.read_config(folder / "configs" / "inference.json")
    data = parser.get_parsed_content("preprocessing")({"image": str(scan)})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    return parser.get_parsed_content("postprocessing")(data)["pred"][0].numpy().astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_def": {"_target_": "scripts.net.UNet"}}, 'network_def: "scripts.net.UNet" has no translation'),
        ({"network_def": {"_target_": "TorchVisionFCModel"}}, 'network_def: "TorchVisionFCModel" has no translation'),
        ({"network_def": {"_target_": "UNet", "spatial_dims": 3}}, "UNet refuses its arguments: .*missing"),
        ({"network_def": "$torch.load('model.pt')"}, "is the expression"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "inferer: SimpleInferer has no translation"),
        (
            {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, -1, 32]}},
            "roi_size of three sizes above 0",
        ),
        ({"inferer": {"_target_": "SlidingWindowInferer", "roi_size": 32, "padding_mode": "reflect"}}, "padding_mode"),
        ({"preprocessing": {"_target_": "Compose", "transforms": []}}, "give --orientation"),
        ({"postprocessing": [{"_target_": "FillHolesd"}]}, "FillHolesd has no translation"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as refusal:
        opened(tmp_path, {**inference(), **change})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("side", "change", "message"),
    [
        ("inputs", {"num_channels": 4}, "4 input channels; bedside gives one image"),
        ("inputs", {"modality": "US"}, 'modality is "US"; expected CT or MR'),
        ("outputs", {"channel_def": {"0": "background", "2": "liver"}}, "to name the channels 0, 1"),
        ("outputs", {"channel_def": {"0": "liver", "1": "spleen"}}, 'channel 0 to be "background", got "liver"'),
        ("outputs", {"channel_def": {"0": "background", "1": "a", "2": "a"}}, "every name must be given once"),
    ],
)
def test_metadata_that_names_no_classes_of_one_scan_is_refused(tmp_path, side, change, message):
    described = metadata()
    next(iter(described["network_data_format"][side].values())).update(change)
    with pytest.raises(InputError, match=message):
        opened(tmp_path, None, described)


@pytest.mark.parametrize("stated", [{"intended_use": "Trials alone."}, {"intended_use": None, "task": None}, {}])
def test_what_it_is_intended_for_is_what_its_metadata_state_or_what_any_task_has(tmp_path, stated):
    described = metadata()
    del described["intended_use"]
    found = opened(tmp_path, None, {**described, **stated}).task
    assert found.intended_use == (stated.get("intended_use") or PRESETS["btcv"].intended_use)
    assert found.anatomy == ("" if "task" in stated else described.get("task", ""))


def test_another_number_of_labels_than_classes_is_refused(tmp_path):
    described = metadata()
    described["network_data_format"]["outputs"]["pred"]["channel_def"]["3"] = "liver"
    with pytest.raises(UsageError, match=r"the network has 3 classes, the task .* 4 labels"):
        opened(tmp_path, None, described)


def test_scans_without_resampling_are_refused_and_the_orientation_may_be_given(tmp_path):
    described = inference()
    steps = described["preprocessing"]["transforms"]
    described["preprocessing"]["transforms"] = [step for step in steps if step["_target_"] != "Orientationd"]
    assert opened(tmp_path, described, orientation="PIR").task.orientation == "RIP"
    shutil.rmtree(tmp_path / "changed")
    described["preprocessing"]["transforms"] = [step for step in steps if step["_target_"] != "Spacingd"]
    with pytest.raises(InputError, match="has no Spacingd"):
        opened(tmp_path, described)


def test_weights_elsewhere_take_the_place_of_the_bundles(bundle, tmp_path):
    (bundle / "models" / "model.pt").rename(tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"no weights at .*model\.pt"):
        open_monai_bundle(bundle)
    assert open_monai_bundle(bundle, weights=tmp_path / "other.pt").student == "UNet"


def test_only_a_folder_or_zip_with_metadata_is_a_bundle(bundle, tmp_path):
    assert is_monai_bundle(bundle)
    assert not is_monai_bundle(tmp_path)
    (tmp_path / "text.zip").write_text("no zip")
    assert not is_monai_bundle(tmp_path / "text.zip")
    (bundle / "configs" / "inference.json").unlink()
    with pytest.raises(InputError, match=r"expected configs/inference\.json or \.yaml"):
        open_monai_bundle(bundle)
