import json

import msgspec
import pytest
from bedside.export import monai_metadata as module
from bedside.export.monai_metadata import monai_metadata
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.task import Intensity, Modality

# Facts of MONAI's schema of 2024-07-25: the type of each field, and the fields that have to be there.
TEXTS = {
    "schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors",
    "copyright", "data_source", "data_type", "image_classes", "label_classes", "pred_classes", "intended_use",
}  # fmt: skip
TABLES = {"changelog", "required_packages_version", "eval_metrics", "supported_apps", "network_data_format"}
OPTIONAL = {
    "changelog", "data_source", "data_type", "image_classes", "label_classes", "pred_classes", "eval_metrics",
    "intended_use", "supported_apps",
}  # fmt: skip
TENSOR = {"type": str, "format": str, "num_channels": int, "spatial_shape": list, "dtype": str, "value_range": list}


@pytest.fixture
def described(toy, task):
    """Returns the metadata of a task's bundle as JSON."""
    variants = (Variant(precision="fp32", engine="onnxruntime", file="model.fp32.onnx"),)
    return lambda **changes: json.loads(
        monai_metadata(toy.manifest(msgspec.structs.replace(task, **changes), variants))
    )


def test_fields_have_the_types_of_monais_schema_and_none_is_missing(described):
    data = described()
    assert set(data) >= (TEXTS | TABLES) - OPTIONAL
    assert [name for name in TEXTS & set(data) if type(data[name]) is not str] == []
    assert [name for name in TABLES & set(data) if type(data[name]) is not dict] == []
    tensors = [*data["network_data_format"]["inputs"].values(), *data["network_data_format"]["outputs"].values()]
    assert len(tensors) == 2
    for tensor in tensors:
        assert {name: type(tensor[name]) for name in TENSOR} == TENSOR
        assert (type(tensor["is_patch_data"]), type(tensor["channel_def"])) == (bool, dict)
        assert {type(size) for size in tensor["spatial_shape"]} <= {int, str}
        assert {type(value) for value in tensor["value_range"]} <= {int, float}


def test_the_figures_of_the_gate_are_in_it(toy, task):
    measured = Variant(precision="fp32", engine="onnxruntime", file="a.onnx", dice={"fat": 0.5, "bone": 1.0})
    unmeasured = Variant(precision="int8", engine="onnxruntime", file="b.onnx")
    data = json.loads(monai_metadata(toy.manifest(task, (measured, unmeasured))))
    assert data["eval_metrics"] == {"mean_dice, onnxruntime fp32": 0.75}


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
