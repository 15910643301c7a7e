"""A bundle that is replaced, moved or half replaced while it is in use: what is read is what was verified."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, Segmenter, open_engine, write_manifest
from bedside.runtime.engine_selection import engine_choice
from bedside.runtime.engines.open_vino import import_openvino
from bedside.runtime.files.temporaries import moved_folder_name
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run_or_bundle import is_bundle


def altered(path: Path) -> None:
    """Changes a byte and keeps the size, as an export of the same student with other weights would."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_file_changed_since_the_bundle_was_opened_is_not_read(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        assert bundle.read("README.md") == b"# Toy\n"
        altered(bundle_path / "README.md")
        with pytest.raises(BundleError, match=r"README\.md was changed since the bundle was opened; open it again"):
            bundle.read("README.md")


@pytest.mark.parametrize("change", ["grown", "gone", "link"])
def test_nor_one_that_grew_went_or_became_a_link_to_something_else(bundle_path, tmp_path, change):
    with Bundle.open(bundle_path) as bundle:
        path = bundle_path / "README.md"
        if change == "grown":
            path.write_bytes(path.read_bytes() + b"more")
        else:
            path.unlink()
        if change == "link":
            (tmp_path / "secret").write_text("secret")
            path.symlink_to(tmp_path / "secret")
        with pytest.raises(BundleError, match=r"README\.md (cannot be read|was changed)"):
            bundle.read("README.md")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_no_engine_parses_a_model_replaced_behind_the_check(bundle_path, monkeypatch, engine):
    real = engine_choice.open_engine

    def replaced_first(*given, **options):
        altered(bundle_path / "model.fp32.onnx")
        return real(*given, **options)

    monkeypatch.setattr(engine_choice, "open_engine", replaced_first)
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx was changed since the bundle was opened"):
        Segmenter.load(bundle_path, engine=engine, threads=1)


def test_nor_the_weights_of_an_ir(toy, task, tmp_path):
    openvino = import_openvino()
    path = toy.write_bundle(tmp_path / "b", task)
    network = openvino.Core().read_model(toy.nearest_mean_model(task.patch.dhw))
    openvino.save_model(network, path / "model.fp32.xml", compress_to_fp16=False)
    with Bundle.open(toy.write_bundle(tmp_path / "a", task)) as plain:
        (variant, *_) = plain.manifest.variants
    own = type(variant)(precision="fp32", engine="openvino", file="model.fp32.xml")
    write_manifest(path, toy.manifest(task, (own,)))
    with Bundle.open(path) as bundle:
        patch = np.random.default_rng(1).random((1, 1, *task.patch.dhw), np.float32)
        engine = open_engine("openvino", bundle.model(own), threads=1)
        np.testing.assert_allclose(engine.infer(patch), toy.nearest_mean_logits(patch), atol=1e-4)
        altered(path / "model.fp32.bin")
        with pytest.raises(BundleError, match=r"model\.fp32\.bin was changed"):
            open_engine("openvino", bundle.model(own), threads=1)


def test_the_self_tests_patch_is_read_as_verified(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        altered(bundle_path / "golden_input.npy")
        with pytest.raises(BundleError, match="was changed"):
            bundle.array("golden_input.npy")


def test_the_hash_in_records_is_that_of_what_was_verified(bundle_path, toy, task):
    with Bundle.open(bundle_path) as bundle:
        before = bundle.sha256
        write_manifest(bundle_path, toy.manifest(task, bundle.manifest.variants, intended_use="Another."))
        assert bundle.sha256 == before
    with Bundle.open(bundle_path) as bundle:
        assert bundle.sha256 != before


def test_a_bundle_opened_by_a_relative_path_survives_a_change_of_folder(bundle_path, tmp_path, monkeypatch):
    monkeypatch.chdir(bundle_path.parent)
    with Bundle.open(bundle_path.name) as bundle:
        monkeypatch.chdir(tmp_path.parent)
        assert bundle.read("README.md") == b"# Toy\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there, nobody can tell whether a process still runs")
@pytest.mark.parametrize("asked", [Bundle.open, LearnedFrom.of, is_bundle])
def test_a_bundle_whose_replacement_was_killed_half_way_is_opened(bundle_path, asked):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    aside = re.sub(r"-\d+-", f"-{process.pid}-", moved_folder_name(bundle_path.name), count=1)
    bundle_path.rename(bundle_path.with_name(aside))
    asked(bundle_path)
    with Bundle.open(bundle_path) as bundle:
        assert bundle.task.name == "toy"
    assert bundle_path.is_dir()


def test_a_folder_that_is_no_bundle_is_not_gone_through(tmp_path, monkeypatch):
    """A home or a whole disk, given by mistake, would take minutes."""
    monkeypatch.setattr(os, "scandir", None)
    with pytest.raises(BundleError, match=r"is not a bundle: it has no bundle\.json; expected a bundle, the folder"):
        Bundle.open(tmp_path)


def test_a_bundle_of_too_many_files_is_refused(bundle_path):
    (bundle_path / "docs").mkdir()
    for number in range(1000):
        (bundle_path / "docs" / f"{number}.txt").touch()
    with pytest.raises(BundleError, match="holds more than 1000 files and folders"):
        Bundle.open(bundle_path)
