"""With trusted keys, only a bundle that one of them signed is opened, and it is the very bytes that were signed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bedside.runtime import (
    Bundle,
    BundleError,
    InputError,
    MissingExtraError,
    Segmenter,
    UsageError,
    sign_bundle,
    write_manifest,
)
from bedside.runtime.bundles import trusted_keys
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, checksum_line
from bedside.runtime.bundles.trusted_keys import SIGNATURE_NAME
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@pytest.fixture
def signed(bundle_path, keys) -> Path:
    sign_bundle(bundle_path, keys.signing)
    return bundle_path


def forged(bundle: Path, content: bytes) -> None:
    """Replaces the manifest and its checksum, as who forges a bundle would."""
    (bundle / MANIFEST_NAME).write_bytes(content)
    (bundle / CHECKSUM_NAME).write_bytes(checksum_line(content))


def test_a_signed_bundle_opens_with_and_without_trust(signed, keys):
    with Bundle.open(signed, trust=keys.public) as bundle:
        assert (bundle.is_signed, bundle.signer) == (True, keys.signing.fingerprint)
    with Bundle.open(signed) as bundle:
        assert (bundle.is_signed, bundle.signer) == (True, None)


def test_the_segmenter_runs_a_signed_bundle_and_refuses_another(signed, keys, other_keys):
    with Segmenter.load(signed, "onnxruntime", "fp32", 1, trust=keys.public) as segmenter:
        assert segmenter.bundle.signer == keys.signing.fingerprint
    with pytest.raises(BundleError, match="altered or signed with another key"):
        Segmenter.load(signed, trust=[other_keys.public])


def test_an_unsigned_bundle_is_refused_by_name_where_trust_is_asked_for(bundle_path, keys):
    with pytest.raises(BundleError, match=r'"toy\.bedside" is not signed: it has no bundle\.sig'):
        Bundle.open(bundle_path, trust=keys.public)
    with Bundle.open(bundle_path) as bundle:
        assert (bundle.is_signed, bundle.signer) == (False, None)


def test_altered_weights_are_refused_with_their_name(signed, keys):
    model = signed / "model.fp32.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx does not have the SHA-256"):
        Bundle.open(signed, trust=keys.public)


def test_a_manifest_that_a_forger_rewrote_is_refused(signed, keys):
    fields = json.loads((signed / MANIFEST_NAME).read_bytes())
    forged(signed, json.dumps({**fields, "licence": "mine"}).encode())
    with Bundle.open(signed) as bundle:
        assert bundle.manifest.licence == "mine"  # the hash alone does not notice
    with pytest.raises(BundleError, match=r"does not sign this bundle\.json with SHA256:"):
        Bundle.open(signed, trust=keys.public)


def test_the_signature_is_verified_before_the_manifest_is_parsed(signed, keys):
    forged(signed, b"no JSON")
    with pytest.raises(BundleError, match="does not sign this"):
        Bundle.open(signed, trust=keys.public)
    with pytest.raises(BundleError, match="is not valid"):
        Bundle.open(signed)


def test_weights_exchanged_with_a_manifest_to_fit_are_refused(signed, keys, toy):
    signature = (signed / SIGNATURE_NAME).read_bytes()
    with Bundle.open(signed) as bundle:
        manifest = bundle.manifest
    (signed / "model.fp32.onnx").write_bytes(toy.nearest_mean_model(manifest.task.patch.dhw, (0.9, 0.5, 0.1)))
    write_manifest(signed, manifest)
    (signed / SIGNATURE_NAME).write_bytes(signature)
    with pytest.raises(BundleError, match="does not sign this"):
        Bundle.open(signed, trust=keys.public)


def test_the_signature_of_another_bundle_is_refused(signed, keys, toy, tmp_path):
    other = toy.write_bundle(tmp_path / "other.bedside", toy.task(patch=(8, 8, 8)))
    sign_bundle(other, keys.signing)
    shutil.copy(other / SIGNATURE_NAME, signed)
    with pytest.raises(BundleError, match="does not sign this"):
        Bundle.open(signed, trust=keys.public)


@pytest.mark.parametrize(("content", "size"), [(b"", 0), (b"x" * 63, 63), (b"x" * 65, 65), (b"x" * 2**20, 2**20)])
@pytest.mark.parametrize("trusting", [True, False])
def test_a_signature_of_another_size_is_refused_also_without_trust(signed, keys, content, size, trusting):
    (signed / SIGNATURE_NAME).write_bytes(content)
    with pytest.raises(BundleError, match=f"bundle.sig: expected 64 bytes, got {size}; copy the bundle again"):
        Bundle.open(signed, trust=keys.public if trusting else None)


def test_every_flipped_bit_of_a_signature_is_refused(signed, keys):
    content = (signed / SIGNATURE_NAME).read_bytes()
    for bit in range(0, 512, 31):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (signed / SIGNATURE_NAME).write_bytes(flipped)
        with pytest.raises(BundleError, match="does not sign this"):
            Bundle.open(signed, trust=keys.public)


def test_a_linked_signature_and_an_unlisted_file_are_refused(signed, keys, tmp_path):
    (signed / "extra.txt").write_text("x")
    with pytest.raises(BundleError, match=r"does not list: extra\.txt"):
        Bundle.open(signed, trust=keys.public)
    (signed / "extra.txt").unlink()
    shutil.move(signed / SIGNATURE_NAME, tmp_path / SIGNATURE_NAME)
    (signed / SIGNATURE_NAME).symlink_to(tmp_path / SIGNATURE_NAME)
    with pytest.raises(BundleError, match=r'"bundle\.sig" is a link'):
        Bundle.open(signed, trust=keys.public)


def test_a_manifest_that_lists_the_signature_is_refused(signed):
    fields = json.loads((signed / MANIFEST_NAME).read_bytes())
    fields["files"][SIGNATURE_NAME] = {"size": 64, "sha256": "0" * 64}
    forged(signed, json.dumps(fields).encode())
    with pytest.raises(BundleError, match="expected a relative path inside the bundle"):
        Bundle.open(signed)


def test_what_is_exchanged_after_opening_is_not_read(signed, keys, toy):
    with Bundle.open(signed, trust=keys.public) as bundle:
        read = bundle.model(bundle.variant("onnxruntime", "fp32"))
        (signed / "model.fp32.onnx").write_bytes(toy.nearest_mean_model(bundle.task.patch.dhw, (0.9, 0.5, 0.1)))
        with pytest.raises(BundleError, match=r"model\.fp32\.onnx was changed since the bundle was opened"):
            read()


def test_a_signed_zip_is_verified_too(signed, keys, other_keys, tmp_path):
    archive = tmp_path / "toy.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in signed.iterdir():
            zipped.write(path, path.name)
    with Bundle.open(archive, trust=keys.public) as bundle:
        assert bundle.signer == keys.signing.fingerprint
    with pytest.raises(BundleError, match=r'"toy\.zip" was altered or signed with another key'):
        Bundle.open(archive, trust=other_keys.public)


def test_one_of_several_keys_or_of_a_folder_is_enough(signed, keys, other_keys):
    for trust in ([other_keys.public, keys.public], str(keys.public.parent), [other_keys.public, keys.public.parent]):
        with Bundle.open(signed, trust) as bundle:
            assert bundle.signer == keys.signing.fingerprint


def test_no_key_at_all_is_no_trust(signed, tmp_path):
    with pytest.raises(UsageError, match="trust: expected the path of a public key, or several"):
        Bundle.open(signed, trust=[])
    with pytest.raises(InputError, match=r"expected public keys \(\.pem or \.pub\) in this folder, found none"):
        Bundle.open(signed, trust=tmp_path)


def test_pem_and_openssh_keys_are_read(signed, keys, new_key, tmp_path):
    key = new_key().public_key()
    (tmp_path / "a.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "b.pub").write_bytes(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@here\n")
    read = [trusted_keys.TrustedKeys.read([tmp_path / name]).keys for name in ("a.pem", "b.pub")]
    assert list(read[0]) == list(read[1]) == [trusted_keys.fingerprint(key)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got another file, or a damaged one"),
        (b"no key", "got another file, or a damaged one"),
        (b"ssh-ed25519 AAAA me@here", "got another file, or a damaged one"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "got another file, or a damaged one"),
        (b"ssh-ed25519 AAAA a\nssh-ed25519 AAAA b\n", "got several lines or keys; one file for each key"),
        (b"x" * 20_000, "got more than 16384 bytes"),
    ],
)
def test_what_is_no_public_key_is_refused_with_its_name(signed, tmp_path, content, message):
    (tmp_path / "bad.pub").write_bytes(content)
    with pytest.raises(InputError, match=rf'"bad\.pub": .*{message}'):
        Bundle.open(signed, trust=tmp_path / "bad.pub")


def test_two_keys_in_one_file_are_refused_because_only_the_first_would_count(signed, keys, other_keys, tmp_path):
    (tmp_path / "both.pem").write_bytes(other_keys.public.read_bytes() + keys.public.read_bytes())
    with pytest.raises(InputError, match="got several lines or keys"):
        Bundle.open(signed, trust=tmp_path / "both.pem")


def test_a_private_key_is_not_what_a_device_should_hold(signed, keys):
    with pytest.raises(InputError, match="got a private key; keep it where bundles are signed"):
        Bundle.open(signed, trust=keys.private)


@pytest.mark.parametrize("name", ["gone.pub", "x" * 5000, "a\0b"])
def test_a_missing_key_is_named(signed, name):
    with pytest.raises(InputError, match="expected the file of a key, found none"):
        Bundle.open(signed, trust=name)


def test_a_pipe_in_place_of_a_key_does_not_hang(signed, tmp_path):
    os.mkfifo(tmp_path / "key.pub")
    with pytest.raises(InputError, match="expected the file of a key, found none"):
        Bundle.open(signed, trust=tmp_path / "key.pub")


@pytest.mark.parametrize(
    ("other", "name"),
    [(lambda: rsa.generate_private_key(65537, 1024), "RSA"), (lambda: ec.generate_private_key(ec.SECP256R1()), "EC")],
)
def test_a_public_key_of_another_kind_is_named(signed, tmp_path, other, name):
    key = other().public_key()
    (tmp_path / "other.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(
        InputError, match=f'"other.pem": expected one Ed25519 public key, PEM or OpenSSH, got .* {name}'
    ):
        Bundle.open(signed, trust=tmp_path / "other.pem")


def test_a_missing_package_is_one_line_with_the_pip_command(signed, keys, monkeypatch):
    monkeypatch.setattr(trusted_keys, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cryptography is not installed; run: pip install 'bedside\[sign\]'"):
        Bundle.open(signed, trust=keys.public)
    Bundle.open(signed).close()


def test_without_trust_the_package_is_not_imported(signed):
    code = "import sys; from bedside.runtime import Bundle; Bundle.open(sys.argv[1]); print([*sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, signed], capture_output=True, text=True, check=True)
    assert "'bedside.runtime.bundles.trusted_keys'" in done.stdout
    assert "'cryptography" not in done.stdout
