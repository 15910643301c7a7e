"""The software bill of materials of a bundle, in CycloneDX's JSON format, version 1.6.

It lists every file of the bundle with its hash, the packages that made it, and those that a device needs to run it.
The tests validate it against CycloneDX's own schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from .. import __version__
from ..runtime.bundles.manifest import Manifest
from ..runtime.engines import ENGINES, package_version

SBOM_NAME = "sbom.cdx.json"  # as CycloneDX names such files
_MODEL_SUFFIXES = {".onnx", ".xml", ".bin"}
_MADE_WITH = (
    "torch", "monai", "numpy", "onnx", "onnxscript", "onnxconverter-common", "nncf", "onnxruntime", "openvino",
)  # fmt: skip
_OF_EXTRA = re.compile(r";.*\bextra\b")  # a requirement that the device install leaves out
_BUNDLE = "bundle"  # reference within the file
# Licences that models have, as SPDX spells them; CycloneDX wants any other as a name.
_SPDX = {
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "GPL-3.0-only", "AGPL-3.0-only", "CC0-1.0", "CC-BY-4.0",
    "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0",
}  # fmt: skip


def sbom(manifest: Manifest) -> str:
    """Returns the text of `sbom.cdx.json`; the same manifest and installed packages give the same text.

    Args:
        manifest: the manifest with all files but this one.
    """
    files = [_file(name, manifest) for name in sorted(manifest.files)]
    product = _package("bedside", __version__)
    packages = _runtime_packages(manifest)
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, sha256(msgspec.json.encode(manifest)).hexdigest())}",
        "version": 1,
        "metadata": {
            "timestamp": manifest.provenance.created,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [_without_reference(each) for each in (product, *_installed(_MADE_WITH))]},
            "component": _model(manifest),
        },
        "components": [*files, product, *packages],
        "dependencies": [
            {"ref": _BUNDLE, "dependsOn": [each["bom-ref"] for each in (*files, product)]},
            {"ref": product["bom-ref"], "dependsOn": [each["bom-ref"] for each in packages]},
        ],
        # The files are all there are; a device has further packages, those that the listed ones need.
        "compositions": [
            {"aggregate": "complete", "assemblies": [_BUNDLE]},
            {"aggregate": "incomplete", "dependencies": [product["bom-ref"]]},
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _model(manifest: Manifest) -> dict[str, Any]:
    """Returns the bundle as a component, with a short form of its model card."""
    task, origin = manifest.task, manifest.provenance
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _BUNDLE,
        "name": task.name,
        "version": origin.created,  # bundles have no version number
        "description": f"{task.modality.value} segmentation: {', '.join(task.labels[1:])}",
        "licenses": _licences(manifest.licence),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "semantic segmentation",
                "modelArchitecture": origin.student,
                "datasets": [_training_data(origin.data_hash)],
                "inputs": [{"format": f"{manifest.input.name} {list(manifest.input.shape)} {manifest.input.dtype}"}],
                "outputs": [
                    {"format": f"{manifest.output.name} {list(manifest.output.shape)} {manifest.output.dtype}"}
                ],
            },
            "considerations": {"useCases": [manifest.intended_use]},
        },
    }
    if origin.teacher is not None:
        notes = "distilled" if origin.lam is None else f"distilled, λ = {origin.lam:g}"
        teacher = {"type": "machine-learning-model", "name": origin.teacher}
        component["pedigree"] = {"ancestors": [teacher], "notes": notes}
    return component


def _training_data(data_hash: str) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "dataset", "name": "training data"}
    if data_hash:
        data["contents"] = {"properties": [{"name": "bedside:sha256", "value": data_hash}]}
    return data


def _file(name: str, manifest: Manifest) -> dict[str, Any]:
    entry = manifest.files[name]
    component: dict[str, Any] = {
        "type": "machine-learning-model" if PurePosixPath(name).suffix in _MODEL_SUFFIXES else "file",
        "bom-ref": f"file:{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
        "licenses": _licences(manifest.licence),
        "properties": [{"name": "bedside:bytes", "value": str(entry.size)}],
    }
    runs = [variant.name for variant in manifest.variants if name in (variant.file, variant.weights)]
    if runs:
        component["description"] = f"the network, for {', '.join(runs)}"
    if manifest.locator is not None and name == manifest.locator.file:
        component["description"] = f"the locator ({manifest.locator.network or 'not named'}), which finds the organs"
    return component


def _licences(licence: str) -> list[dict[str, Any]]:
    return [{"license": {"id" if licence in _SPDX else "name": licence}}]


def _runtime_packages(manifest: Manifest) -> list[dict[str, Any]]:
    """Returns the packages that a device needs, in the versions with which the variants were measured."""
    required = _requirements()
    engines = {ENGINES[variant.engine].package for variant in manifest.variants} - required.keys()
    packages: list[dict[str, Any]] = []
    for name, versions in (*required.items(), *((each, "") for each in sorted(engines))):
        package = _package(name, package_version(name))
        # One of the engines is enough, and a condition such as Python's version does not hold on every device.
        package["scope"] = "required" if name in required and ";" not in versions else "optional"
        if versions:
            package["properties"] = [{"name": "bedside:requires", "value": versions}]
        packages.append(package)
    return packages


def _requirements() -> dict[str, str]:
    """Returns package → accepted versions of the device install, as in `>=2; python_version < "3.11"`.

    There are none where bedside runs without being installed.
    """
    try:
        stated = requires("bedside") or []
    except PackageNotFoundError:
        return {}
    parsed = (re.match(r"([\w.-]+)\s*(.*)$", each) for each in stated if not _OF_EXTRA.search(each))
    return {found[1]: found[2] for found in parsed if found is not None}


def _installed(packages: Sequence[str]) -> list[dict[str, Any]]:
    versions = ((package, package_version(package)) for package in packages)
    return [_package(package, version) for package, version in versions if version is not None]


def _package(name: str, version: str | None) -> dict[str, Any]:
    """Returns a package of PyPI as a component, with the licence that its metadata states as an SPDX expression."""
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}"
    if version is None:
        return {"type": "library", "bom-ref": purl, "name": name, "purl": purl}
    purl = f"{purl}@{quote(version, safe='')}"
    component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    licence = _stated_licence(name)
    if licence is not None:
        component["licenses"] = [{"expression": licence}]
    return component


def _stated_licence(package: str) -> str | None:
    try:
        stated = metadata(package).json.get("license_expression")
    except PackageNotFoundError:  # installed without a wheel's metadata, as on a JetPack
        return None
    return stated if isinstance(stated, str) else None


def _without_reference(component: dict[str, Any]) -> dict[str, Any]:
    """Returns a component without its reference, which has to be unique: a tool may be a part too."""
    return {name: value for name, value in component.items() if name != "bom-ref"}
