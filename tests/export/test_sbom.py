"""The bill of materials is valid by CycloneDX's own schema and lists files, tools and what a device needs."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError

import msgspec
import pytest
from bedside import __version__
from bedside.export import sbom as module
from bedside.export.sbom import sbom
from bedside.runtime import Bundle
from bedside.runtime.bundles.manifest import FileEntry
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


@pytest.fixture
def manifest(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        return bundle.manifest


def listed(manifest):
    text = sbom(manifest)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def component(content, name):
    (found,) = (each for each in content["components"] if each["name"] == name)
    return found


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, {}),
        ({"licence": 'ours, "all" of it'}, {"teacher": "big", "lam": 0.5, "data_hash": "ab" * 32}),
        ({"licence": "CC-BY-4.0", "intended_use": ""}, {"teacher": "big"}),
    ],
)
def test_it_is_valid_whatever_is_known(manifest, changes, origin):
    provenance = msgspec.structs.replace(manifest.provenance, **origin)
    listed(msgspec.structs.replace(manifest, provenance=provenance, **changes))


def test_every_file_has_its_hash_and_networks_the_variants_that_run_them(manifest):
    content = listed(manifest)
    hashes = {each["name"]: each["hashes"] for each in content["components"] if "hashes" in each}
    assert hashes == {name: [{"alg": "SHA-256", "content": entry.sha256}] for name, entry in manifest.files.items()}
    model, card = component(content, "model.int8.onnx"), component(content, "README.md")
    assert (model["type"], model["description"]) == ("machine-learning-model", "the network, for onnxruntime int8")
    assert (card["type"], card["properties"]) == ("file", [{"name": "bedside:bytes", "value": "6"}])
    assert content["compositions"][0] == {"aggregate": "complete", "assemblies": ["bundle"]}


@pytest.mark.parametrize(("licence", "stated"), [("Apache-2.0", {"id": "Apache-2.0"}), ("ask us", {"name": "ask us"})])
def test_the_licence_is_an_spdx_identifier_or_a_name(manifest, licence, stated):
    content = listed(msgspec.structs.replace(manifest, licence=licence))
    assert content["metadata"]["component"]["licenses"] == [{"license": stated}]
    assert component(content, "model.fp32.onnx")["licenses"] == [{"license": stated}]


def test_packages_that_made_it_and_that_run_it_have_their_versions(manifest):
    content = listed(manifest)
    tools = {each["name"]: each["purl"] for each in content["metadata"]["tools"]["components"]}
    assert tools["bedside"] == f"pkg:pypi/bedside@{__version__}"
    assert {"torch", "onnx", "nncf", "onnxruntime", "openvino"} <= tools.keys()
    numpy = component(content, "numpy")
    assert (numpy["scope"], numpy["properties"]) == ("required", [{"name": "bedside:requires", "value": ">=1.26"}])
    assert component(content, "onnxruntime")["scope"] == "required"
    assert "openvino" not in {each["name"] for each in content["components"]}  # no variant for it


def test_an_engine_beyond_the_device_install_is_optional(manifest):
    fp32, int8 = manifest.variants
    other = msgspec.structs.replace(int8, engine="openvino")
    content = listed(msgspec.structs.replace(manifest, variants=(fp32, other)))
    assert component(content, "openvino")["scope"] == "optional"


def test_the_teacher_is_the_ancestor(manifest):
    origin = msgspec.structs.replace(manifest.provenance, teacher="big", lam=0.5, data_hash="ab" * 32)
    model = listed(msgspec.structs.replace(manifest, provenance=origin))["metadata"]["component"]
    teacher = {"type": "machine-learning-model", "name": "big"}
    assert model["pedigree"] == {"ancestors": [teacher], "notes": "distilled, λ = 0.5"}
    (data,) = model["modelCard"]["modelParameters"]["datasets"]
    assert data["contents"]["properties"] == [{"name": "bedside:sha256", "value": "ab" * 32}]


def test_the_same_manifest_gives_the_same_text_and_another_one_another_serial_number(manifest):
    assert sbom(manifest) == sbom(manifest)
    files = {**manifest.files, "NOTICE": FileEntry(size=1, sha256="0" * 64)}
    other = json.loads(sbom(msgspec.structs.replace(manifest, files=files)))
    assert other["serialNumber"] != json.loads(sbom(manifest))["serialNumber"]


def test_a_source_tree_and_packages_without_metadata_are_listed_without_versions(manifest, monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(module, "requires", missing)
    monkeypatch.setattr(module, "metadata", missing)
    monkeypatch.setattr(module, "package_version", lambda package: None)
    content = listed(manifest)
    assert component(content, "onnxruntime")["purl"] == "pkg:pypi/onnxruntime"
    assert [each["name"] for each in content["metadata"]["tools"]["components"]] == ["bedside"]


def test_a_version_with_a_build_is_escaped(manifest, monkeypatch):
    monkeypatch.setattr(module, "package_version", lambda package: "2.6.0+cpu")
    assert component(listed(manifest), "numpy")["purl"] == "pkg:pypi/numpy@2.6.0%2Bcpu"


def test_what_some_devices_need_is_optional_and_what_an_extra_needs_is_left_out(manifest, monkeypatch):
    conditions = [
        "c>=1; python_version < '3.11'",
        "d; extra == 'train'",
        "e>=2; python_version < '3.11' and extra == 'x'",
    ]
    monkeypatch.setattr(module, "requires", lambda package: ["a-b", "numpy>=1.26", *conditions])
    content = listed(manifest)
    some = component(content, "c")
    assert some["scope"] == "optional"
    assert some["properties"] == [{"name": "bedside:requires", "value": ">=1; python_version < '3.11'"}]
    assert component(content, "a-b")["scope"] == "required"
    assert "properties" not in component(content, "a-b")
    assert not {"d", "e"} & {each["name"] for each in content["components"]}
