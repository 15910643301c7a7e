"""MONAI's transforms become fields of a task, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.export.networks.monai_config import BundleConfig, Component
from bedside.export.networks.monai_transforms import translate_postprocessing, translate_preprocessing
from bedside.runtime import Postprocessing
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.task import Intensity
from monai.bundle import ConfigParser
from monai.data import MetaTensor

LOAD = {"_target_": "LoadImaged", "keys": ["image", "label"]}
RANGE = {
    "_target_": "ScaleIntensityRanged",
    "keys": "image",
    "a_min": -100,
    "a_max": 300,
    "b_min": 0,
    "b_max": 1,
    "clip": True,
}
LABELS = ("background", "liver", "spleen")


def transforms(*described) -> list[Component]:
    return BundleConfig("inference.json", {"steps": list(described)}).transforms("steps")


def changed(described, **arguments):
    return {**described, **arguments}


def test_the_usual_steps_become_orientation_spacing_and_range():
    prepared = translate_preprocessing(
        transforms(
            LOAD,
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "monai.transforms.Orientationd", "keys": "image", "axcodes": "LPS"},
            {
                "_target_": "Spacingd",
                "keys": ["image", "label"],
                "pixdim": [1.5, 1, 2],
                "mode": ["bilinear", "nearest"],
            },
            RANGE,
            {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"},
            {"_target_": "ToDeviced", "keys": "image", "device": "$torch.device(0)"},
        )
    )
    assert (prepared.axcodes, prepared.pixdim) == ("LPS", (1.5, 1.0, 2.0))
    assert prepared.intensity(0.0) == Intensity(clip=(-100.0, 300.0), scale_to=(0.0, 1.0), padding=0.0)
    assert prepared.left_out == ("CropForegroundd",)


def test_two_linear_steps_become_one():
    normalise = {"_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": 0.5, "divisor": 0.25}
    intensity = translate_preprocessing(transforms(LOAD, RANGE, normalise)).intensity(0.0)
    assert intensity.clip == (-100.0, 300.0)
    assert intensity.scale_to == pytest.approx((-2.0, 2.0))  # (0 - .5) / .25, (1 - .5) / .25


def test_a_transform_of_labels_alone_is_left_out():
    label = {"_target_": "RandAffined", "keys": "label"}
    assert translate_preprocessing(transforms(LOAD, label)).pixdim is None


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"_target_": "ScaleIntensityd", "keys": "image"}, "ScaleIntensityd has no translation"),
        ({"_target_": "scripts.steps.Orientationd", "keys": "image"}, '"scripts.steps.Orientationd" is not MONAI\'s'),
        (changed(RANGE, clip=False), "ScaleIntensityRanged: clip = False has no translation"),
        ({key: value for key, value in RANGE.items() if key != "clip"}, "clip = not given"),
        (changed(RANGE, a_max=-100), "a_max = -100"),
        (changed(RANGE, a_min="$-100"), "is the expression"),
        (changed(RANGE, b_min=None), "b_min = None"),
        ({"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True}, "nonzero = True"),
        ({"_target_": "NormalizeIntensityd", "keys": "image"}, "without ScaleIntensityRanged before it"),
        ({"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 1], "mode": 3}, "Spacingd: mode = 3"),
        ({"_target_": "Spacingd", "keys": "image", "pixdim": [1, -1, 1, 1]}, "pixdim"),
        ({"_target_": "Spacingd", "keys": "image", "pixdim": 1, "min_pixdim": 2}, "min_pixdim = 2"),
        ({"_target_": "Spacingd", "keys": "image", "pixdim": 1, "scale_extent": 2}, "scale_extent = 2"),
        ({"_target_": "Orientationd", "keys": "image", "as_closest_canonical": True}, "as_closest_canonical = True"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(described, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        translate_preprocessing(transforms(LOAD, described))


@pytest.mark.parametrize("pixdim", [[2.5, 3.1, 1.7], [0.9, 0.75, 4.0], [1.3, 1.3, 6.0]])
def test_the_resampled_grid_is_that_of_monai(pixdim):
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    affine[:3, 3] = (101, 87, -340)
    steps = {
        "orientation": {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        "spacing": {"_target_": "Spacingd", "keys": "image", "pixdim": pixdim},
    }
    image = MetaTensor(torch.zeros(1, 43, 38, 21), affine=torch.tensor(affine))
    parser = ConfigParser(steps)
    image = parser.get_parsed_content("spacing")(parser.get_parsed_content("orientation")({"image": image}))["image"]
    prepared = translate_preprocessing(transforms(LOAD, *steps.values()))
    grid = Grid((43, 38, 21), affine).to_task_grid(prepared.axcodes, prepared.pixdim, prepared.anchor)
    assert grid.distance(Grid(image.shape[1:], image.affine.numpy())) < 1e-4


def test_scaling_the_extent_or_turning_after_it_keeps_the_centre():
    spacing = {"_target_": "Spacingd", "keys": "image", "pixdim": 2}
    extent = changed(spacing, scale_extent=True)
    assert translate_preprocessing(transforms(LOAD, extent)).anchor == "centre"
    turning = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
    assert translate_preprocessing(transforms(LOAD, spacing, turning)).anchor == "centre"
    assert translate_preprocessing(transforms(LOAD, turning, spacing)).anchor == "first-voxel"


def test_turning_after_an_anisotropic_spacing_is_refused():
    steps = (
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 2]},
        {"_target_": "Orientationd", "axcodes": "RAS"},
    )
    with pytest.raises(InputError, match="Orientationd after an anisotropic Spacingd"):
        translate_preprocessing(transforms(LOAD, *steps))


def test_two_ranges_and_no_range_are_refused():
    with pytest.raises(InputError, match="two transforms that clip"):
        translate_preprocessing(transforms(LOAD, RANGE, RANGE))
    with pytest.raises(InputError, match="does not limit the intensities"):
        translate_preprocessing(transforms(LOAD)).intensity(0.0)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [({}, ("liver", "spleen")), ({"applied_labels": [2]}, ("spleen",)), ({"applied_labels": 1}, ("liver",))],
)
def test_the_largest_component_becomes_post_processing(arguments, kept):
    steps = transforms(
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing"},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", **arguments},
        {"_target_": "SaveImaged", "keys": "pred", "output_dir": "$@root + '/eval'"},
    )
    assert translate_postprocessing(steps, LABELS) == Postprocessing(largest_component=kept)
    assert translate_postprocessing(steps[:3], LABELS) is None


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"_target_": "Activationsd", "sigmoid": True}, "Activationsd: sigmoid = True"),
        ({"_target_": "AsDiscreted", "threshold": 0.5}, "AsDiscreted: threshold = 0.5"),
        ({"_target_": "FillHolesd"}, "postprocessing: FillHolesd has no translation"),
        ({"_target_": "KeepLargestConnectedComponentd", "applied_labels": [3]}, "applied_labels = "),
        ({"_target_": "KeepLargestConnectedComponentd", "independent": False}, "independent = False"),
    ],
)
def test_other_post_processing_is_refused_by_name(described, message):
    with pytest.raises(InputError, match=message):
        translate_postprocessing(transforms(described), LABELS)
