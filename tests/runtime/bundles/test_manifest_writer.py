"""A manifest is written with the hash of every file, or refused before anything is written."""

from __future__ import annotations

import hashlib

import pytest
from bedside.runtime import Bundle, BundleError, sign_bundle, write_manifest
from bedside.runtime.bundles.manifest import MANIFEST_NAME, decode_manifest
from bedside.runtime.bundles.variant import Variant


def test_every_file_has_its_size_and_hash(bundle_path):
    (bundle_path / "README.md").write_text("# Other\n")
    manifest = decode_manifest((bundle_path / MANIFEST_NAME).read_bytes())
    written = write_manifest(bundle_path, manifest)
    entry = written.files["README.md"]
    assert (entry.size, entry.sha256) == (8, hashlib.sha256(b"# Other\n").hexdigest())
    with Bundle.open(bundle_path) as bundle:
        assert bundle.manifest == written


def test_a_new_manifest_removes_the_signature_of_the_old_one(bundle_path, keys):
    sign_bundle(bundle_path, keys.signing)
    with Bundle.open(bundle_path) as bundle:
        write_manifest(bundle_path, bundle.manifest)
    assert not (bundle_path / "bundle.sig").exists()
    Bundle.open(bundle_path)


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "run.py", "engine.so", "model.engine", "noending"])
def test_code_and_pickles_do_not_belong_in_a_bundle(bundle_path, name):
    (bundle_path / name).write_bytes(b"x")
    with pytest.raises(BundleError, match="no pickles, no code"):
        write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))


def test_an_openvino_model_needs_its_weights(toy, task, tmp_path):
    (tmp_path / "b" / "openvino").mkdir(parents=True)
    (tmp_path / "b" / "openvino" / "model.xml").write_text("<net/>")
    variant = Variant(precision="fp32", engine="openvino", file="openvino/model.xml")
    with pytest.raises(BundleError, match=r"does not list: openvino/model\.bin"):
        write_manifest(tmp_path / "b", toy.manifest(task, (variant,), golden=None))
