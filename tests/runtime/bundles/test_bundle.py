from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, write_manifest
from bedside.runtime.bundles.bundle_zip import extract
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, Variant, checksum_line, decode_manifest


def rewrite_manifest(bundle: Path, change) -> None:
    """Alters bundle.json and its checksum alike: what a forger would do, not a transmission error."""
    fields = json.loads((bundle / MANIFEST_NAME).read_bytes())
    change(fields)
    content = json.dumps(fields).encode()
    (bundle / MANIFEST_NAME).write_bytes(content)
    (bundle / CHECKSUM_NAME).write_bytes(checksum_line(content))


def zipped(bundle: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            archive.write(path, prefix + path.relative_to(bundle).as_posix())
    return target


def test_what_was_written_is_read(bundle_path, task):
    with Bundle.open(bundle_path) as bundle:
        assert bundle.task == task
        assert sorted(bundle.manifest.files) == [
            "README.md", "golden_input.npy", "golden_output.npy", "model.fp32.onnx", "model.int8.onnx",
        ]  # fmt: skip
        assert bundle.file("README.md").read_text() == "# Toy\n"
        assert bundle.manifest.files["README.md"].size == 6


def test_sha256sum_agrees(bundle_path):
    done = subprocess.run(["sha256sum", "--check", CHECKSUM_NAME], cwd=bundle_path, capture_output=True, text=True)
    assert done.stdout == "bundle.json: OK\n"


def test_any_flipped_bit_is_refused(bundle_path):
    random = np.random.default_rng(8)
    files = sorted(path for path in bundle_path.rglob("*") if path.is_file())
    assert len(files) == 7
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


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "run.py", "engine.so", "model.engine", "noending"])
def test_code_and_pickles_do_not_belong_in_a_bundle(bundle_path, name):
    (bundle_path / name).write_bytes(b"x")
    with pytest.raises(BundleError, match="no pickles, no code"):
        write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))


@pytest.mark.parametrize(("version", "advice"), [(2, "update bedside"), (0, "export the bundle again")])
def test_another_schema_version_is_refused_in_words(bundle_path, version, advice):
    rewrite_manifest(bundle_path, lambda fields: fields.update(schema_version=version, unheard_of=1))
    with pytest.raises(BundleError, match=f"schema version {version}, this bedside reads 1; {advice}"):
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


def test_an_openvino_model_needs_its_weights(toy, task, tmp_path):
    (tmp_path / "b" / "openvino").mkdir(parents=True)
    (tmp_path / "b" / "openvino" / "model.xml").write_text("<net/>")
    variant = Variant(precision="fp32", engine="openvino", file="openvino/model.xml")
    with pytest.raises(BundleError, match=r"does not list: openvino/model\.bin"):
        write_manifest(tmp_path / "b", toy.manifest(task, (variant,), golden=None))


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match=r'no bundle at "gone\.bedside"'):
        Bundle.open(tmp_path / "gone.bedside")


def test_openvino_takes_the_onnx_where_it_has_no_form_of_its_own(bundle_path):
    bundle = Bundle.open(bundle_path)
    assert bundle.variant("openvino", "int8").file == "model.int8.onnx"


def test_an_engines_own_form_comes_first(bundle_path):
    (bundle_path / "openvino").mkdir()
    for name in ("model.fp32.xml", "model.fp32.bin"):
        (bundle_path / "openvino" / name).write_bytes(b"x")
    manifest = decode_manifest((bundle_path / MANIFEST_NAME).read_bytes())
    own = Variant(precision="fp32", engine="openvino", file="openvino/model.fp32.xml")
    write_manifest(bundle_path, type(manifest)(**{**fields_of(manifest), "variants": (*manifest.variants, own)}))
    bundle = Bundle.open(bundle_path)
    assert bundle.variant("openvino", "fp32") == own
    assert bundle.variant("onnxruntime", "fp32").file == "model.fp32.onnx"


def fields_of(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_a_precision_that_is_not_there_lists_what_is(toy, task, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.onnx").write_bytes(b"x")
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.onnx")
    write_manifest(tmp_path / "b", toy.manifest(task, (variant,), golden=None))
    with pytest.raises(BundleError, match="no int8 model for openvino; it has: onnxruntime fp32"):
        Bundle.open(tmp_path / "b").variant("openvino", "int8")


def test_a_pickle_in_a_npy_is_refused(bundle_path):
    np.save(bundle_path / "golden_input.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))
    with pytest.raises(BundleError, match="not a plain NumPy array"):
        Bundle.open(bundle_path).array("golden_input.npy")


@pytest.mark.parametrize("prefix", ["", "toy.bedside/"])
def test_a_zip_holds_the_same_and_leaves_nothing_behind(bundle_path, tmp_path, prefix):
    with Bundle.open(zipped(bundle_path, tmp_path / "toy.zip", prefix)) as bundle:
        unpacked = bundle.file("README.md")
        assert unpacked.read_text() == "# Toy\n"
    assert not unpacked.parent.exists()


def test_flipped_bits_in_a_zip_are_refused_or_change_nothing(bundle_path, tmp_path):
    archive = zipped(bundle_path, tmp_path / "toy.zip")
    content = archive.read_bytes()
    original = {path.name: path.read_bytes() for path in bundle_path.iterdir()}
    refused = 0
    for position in np.random.default_rng(9).integers(0, len(content) * 8, 300):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << (position % 8)
        archive.write_bytes(flipped)
        try:
            with Bundle.open(archive) as bundle:
                assert {name: bundle.file(name).read_bytes() for name in bundle.manifest.files} == {
                    name: data for name, data in original.items() if name not in (MANIFEST_NAME, CHECKSUM_NAME)
                }
        except BundleError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("name", ["../slip.txt", "/slip.txt", "a/../../slip.txt", "..\\slip.txt", "C:\\slip.txt"])
def test_a_zip_member_that_leads_out_is_refused_and_nothing_is_written(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr(name, "x")
    target = tmp_path / "inner" / "target"
    target.mkdir(parents=True)
    with pytest.raises(BundleError, match="leads out of the bundle"):
        extract(tmp_path / "slip.zip", target, 1000)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "slip.zip", "target"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match='"link" in the zip is a link'):
        Bundle.open(tmp_path / "link.zip")


def test_a_zip_that_says_it_is_too_large_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", bytes(2000))
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError, match="more than 1000 bytes"):
        extract(tmp_path / "big.zip", tmp_path / "target", 1000)


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path):
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", bytes(5_000_000))
    lie = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(lie)
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError):
        extract(path, tmp_path / "target", 1000)
    assert sum(file.stat().st_size for file in (tmp_path / "target").iterdir()) <= 1000


@pytest.mark.parametrize("names", [("A.txt", "a.txt"), ("a", "a/b.txt")])
def test_zip_members_in_each_others_way_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError):
        extract(tmp_path / "twice.zip", tmp_path / "target", 1000)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip" * 100])
def test_what_is_not_a_zip_is_refused(tmp_path, content):
    (tmp_path / "x.bedside").write_bytes(content)
    with pytest.raises(BundleError, match=r'"x.bedside": expected a bundle, got no zip .+; copy it again'):
        Bundle.open(tmp_path / "x.bedside")
