"""A bundle that differs from its manifest is refused before any parser reads it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, checksum_line


def rewrite_manifest(bundle: Path, change) -> None:
    """Alters bundle.json and its checksum alike: what a forger would do, not a transmission error."""
    fields = json.loads((bundle / MANIFEST_NAME).read_bytes())
    change(fields)
    content = json.dumps(fields).encode()
    (bundle / MANIFEST_NAME).write_bytes(content)
    (bundle / CHECKSUM_NAME).write_bytes(checksum_line(content))


def test_any_flipped_bit_is_refused(bundle_path):
    random = np.random.default_rng(8)
    files = sorted(path for path in bundle_path.rglob("*") if path.is_file())
    assert len(files) == 8
    accepted = []
    for path in files:
        content = path.read_bytes()
        for position in random.integers(0, len(content) * 8, 40):
            flipped = bytearray(content)
            flipped[position // 8] ^= 1 << (position % 8)
            path.write_bytes(flipped)
            try:
                Bundle.open(bundle_path)
                accepted.append((path.name, position))
            except BundleError:
                pass
        path.write_bytes(content)
    assert accepted == []
    Bundle.open(bundle_path)


@pytest.mark.parametrize("name", ["model.fp32.onnx", "README.md"])
def test_a_cut_file_is_named_with_both_sizes(bundle_path, name):
    path = bundle_path / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=rf"{name}: expected {size} bytes, got {size - 1}"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("name", ["model.int8.onnx", "golden_output.npy"])
def test_a_missing_file_is_named(bundle_path, name):
    (bundle_path / name).unlink()
    with pytest.raises(BundleError, match=f"missing from the bundle: {name}"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("name", [MANIFEST_NAME, CHECKSUM_NAME])
def test_a_folder_without_manifest_is_not_a_bundle(bundle_path, name):
    (bundle_path / name).unlink()
    with pytest.raises(BundleError, match=f"is not a bundle: it has no {name}"):
        Bundle.open(bundle_path)


def test_a_file_that_is_not_listed_is_refused(bundle_path):
    (bundle_path / "extra.txt").write_text("x")
    with pytest.raises(BundleError, match=r"does not list: extra\.txt"):
        Bundle.open(bundle_path)


def test_a_link_is_refused_even_to_the_same_bytes(bundle_path, tmp_path):
    moved = tmp_path / "elsewhere.md"
    shutil.move(bundle_path / "README.md", moved)
    (bundle_path / "README.md").symlink_to(moved)
    with pytest.raises(BundleError, match=r'"README\.md" is a link'):
        Bundle.open(bundle_path)


def test_a_linked_folder_is_refused(bundle_path, tmp_path):
    (tmp_path / "openvino").mkdir()
    (bundle_path / "openvino").symlink_to(tmp_path / "openvino")
    with pytest.raises(BundleError, match='"openvino" is a link'):
        Bundle.open(bundle_path)


def test_a_pipe_is_refused_and_not_opened(bundle_path):
    os.mkfifo(bundle_path / "pipe")
    with pytest.raises(BundleError, match='"pipe" is a link or device'):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../b", "C:x.txt", "a\\b.txt", "", "./a.txt"])
def test_listed_names_that_lead_out_are_refused_and_never_read(bundle_path, name):
    rewrite_manifest(bundle_path, lambda fields: fields["files"].update({name: {"size": 1, "sha256": "0" * 64}}))
    with pytest.raises(BundleError, match="expected a relative path inside the bundle"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize(("version", "advice"), [(9, "update bedside"), (0, "export the bundle again")])
def test_another_schema_version_is_refused_in_words(bundle_path, version, advice):
    rewrite_manifest(bundle_path, lambda fields: fields.update(schema_version=version, unheard_of=1))
    with pytest.raises(
        BundleError, match=f"schema version {version}, this bedside reads 1, 2, 3, 4, 5, 6, 7, 8; {advice}"
    ):
        Bundle.open(bundle_path)


@pytest.mark.parametrize(
    "change",
    [
        {"unheard_of": 1},
        {"recommended_overlap": 1.0},
        {"recommended_overlap": "0.5"},
        {"variants": []},
        {"input": {"name": "image", "shape": ["batch", 1, 8, 12, 99], "dtype": "float32"}},
        {"licence": None},
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(bundle_path, change):
    rewrite_manifest(bundle_path, lambda fields: fields.update(change))
    with pytest.raises(BundleError, match=r"bundle\.json is not valid"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000, b" " * 1_000_001])
def test_what_is_not_a_manifest_is_refused(bundle_path, content):
    (bundle_path / MANIFEST_NAME).write_bytes(content)
    (bundle_path / CHECKSUM_NAME).write_bytes(checksum_line(content))
    with pytest.raises(BundleError):
        Bundle.open(bundle_path)


def test_a_variant_whose_file_is_not_listed_is_refused(bundle_path):
    rewrite_manifest(bundle_path, lambda fields: fields["variants"][0].update(file="other.onnx"))
    with pytest.raises(BundleError, match=r"refers to files it does not list: other\.onnx"):
        Bundle.open(bundle_path)
