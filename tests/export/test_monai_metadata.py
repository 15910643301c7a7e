import json

import msgspec
import pytest
from bedside.export import monai_metadata as module
from bedside.export.monai_metadata import monai_metadata
from bedside.runtime.bundles.manifest import Variant
from bedside.runtime.task import Intensity, Modality


@pytest.fixture
def described(toy, task):
    """Returns the metadata of a task's bundle as JSON."""
    variants = (Variant(precision="fp32", engine="onnxruntime", file="model.fp32.onnx"),)
    return lambda **changes: json.loads(
        monai_metadata(toy.manifest(msgspec.structs.replace(task, **changes), variants))
    )


def test_input_and_output_are_the_networks_own(described, task):
    data = described()["network_data_format"]
    image, labels = data["inputs"]["image"], data["outputs"]["pred"]
    assert image["spatial_shape"] == labels["spatial_shape"] == list(task.patch.dhw) == [8, 12, 16]
    assert (image["num_channels"], labels["num_channels"]) == (1, 3)
    assert labels["channel_def"] == {"0": "background", "1": "fat", "2": "bone"}
    assert image["value_range"] == [0.0, 1.0]


@pytest.mark.parametrize(("modality", "name"), [(Modality.CT, "hounsfield"), (Modality.MR, "magnitude")])
def test_the_image_has_the_format_of_its_modality(described, modality, name):
    intensity = Intensity(clip=(0.0, 1000.0), scale_to=(0.0, 1.0))
    image = described(modality=modality, intensity=intensity)["network_data_format"]["inputs"]["image"]
    assert (image["format"], image["modality"]) == (name, modality.value)


@pytest.mark.parametrize(("anatomy", "text"), [("", "CT segmentation: fat, bone"), ("leg", "CT segmentation: leg")])
def test_the_task_names_its_anatomy_or_else_its_labels(described, anatomy, text):
    assert described(anatomy=anatomy)["task"] == text


def test_a_package_that_is_missing_is_said_to_be(described, monkeypatch):
    def missing(package):
        raise module.PackageNotFoundError(package)

    monkeypatch.setattr(module, "version", missing)
    assert described()["monai_version"] == "not installed"
