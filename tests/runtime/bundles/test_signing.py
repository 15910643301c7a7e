"""A private key signs a bundle; what OpenSSL and OpenSSH write is read, and what they verify is ours."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from bedside.runtime import (
    Bundle,
    BundleError,
    InputError,
    MissingExtraError,
    SigningKey,
    UsageError,
    sign_bundle,
)
from bedside.runtime.bundles import trusted_keys
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

OPENSSL = ("openssl", "genpkey", "-algorithm", "ed25519", "-out")


def made_by(command: tuple[str, ...], path: Path) -> Path:
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    return path


def test_openssl_verifies_what_was_signed_with_its_key(bundle_path, tmp_path):
    key = made_by(OPENSSL, tmp_path / "release.pem")
    public = tmp_path / "release.pub.pem"
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    sign_bundle(bundle_path, SigningKey.read(key))
    assert (bundle_path / "bundle.sig").stat().st_size == 64
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", "bundle.json"]
    done = subprocess.run([*verify, "-sigfile", "bundle.sig"], cwd=bundle_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n")


def test_a_key_of_openssh_signs_and_its_fingerprint_is_that_of_ssh_keygen(bundle_path, tmp_path):
    key = made_by(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"), tmp_path / "id")
    shown = subprocess.run(["ssh-keygen", "-l", "-f", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    signing = SigningKey.read(key)
    sign_bundle(bundle_path, signing)
    with Bundle.open(bundle_path, trust=f"{key}.pub") as bundle:
        assert bundle.signer == signing.fingerprint == shown.split()[1]


@pytest.mark.parametrize(
    ("form", "encryption"),
    [
        (PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        (PrivateFormat.OpenSSH, PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(1).build(b"secret")),
    ],
)
def test_an_encrypted_key_needs_its_passphrase(tmp_path, new_key, form, encryption):
    key = new_key()
    path = tmp_path / "release.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, form, encryption))
    path.chmod(0o600)
    assert SigningKey.read(path, lambda: "secret").fingerprint == trusted_keys.fingerprint(key.public_key())
    with pytest.raises(UsageError, match=r'"release\.pem": the key has a passphrase; give it'):
        SigningKey.read(path)
    for wrong in ("", "Secret"):
        with pytest.raises(InputError, match="an Ed25519 private key, PEM or OpenSSH, and its passphrase"):
            SigningKey.read(path, lambda wrong=wrong: wrong)


def test_a_key_without_passphrase_asks_for_none(tmp_path):
    key = made_by(OPENSSL, tmp_path / "release.pem")
    SigningKey.read(key, lambda: pytest.fail("asked"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    key = made_by(OPENSSL, tmp_path / "release.pem")
    key.chmod(mode)
    with pytest.raises(InputError, match=rf"others can read this private key \(mode {mode:o}\); run chmod 600"):
        SigningKey.read(key)


@pytest.mark.parametrize(
    ("other", "name"),
    [(lambda: rsa.generate_private_key(65537, 1024), "RSA"), (lambda: ec.generate_private_key(ec.SECP256R1()), "EC")],
)
def test_a_key_of_another_kind_is_named(tmp_path, other, name):
    path = tmp_path / "other.pem"
    path.write_bytes(other().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(
        InputError, match=f'"other.pem": expected an Ed25519 private key, PEM or OpenSSH, got .* {name}'
    ):
        SigningKey.read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match='"key": expected an Ed25519 private key'):
        SigningKey.read(path)


def test_a_public_key_does_not_sign(tmp_path, keys):
    with pytest.raises(InputError, match="expected an Ed25519 private key"):
        SigningKey.read(keys.public)


def test_the_key_is_not_in_its_repr(keys):
    assert repr(keys.signing) == f"SigningKey(fingerprint='{keys.signing.fingerprint}')"


def test_a_missing_package_is_one_line_with_the_pip_command(keys, monkeypatch):
    monkeypatch.setattr(trusted_keys, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cryptography is not installed; run: pip install 'bedside\[sign\]'"):
        SigningKey.read(keys.private)


def test_a_damaged_bundle_is_not_signed(bundle_path, keys):
    (bundle_path / "README.md").write_text("# Toz\n")
    with pytest.raises(BundleError, match=r"README\.md does not have the SHA-256"):
        sign_bundle(bundle_path, keys.signing)
    assert not (bundle_path / "bundle.sig").exists()


def test_a_zip_is_not_signed(bundle_path, tmp_path, keys):
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for path in bundle_path.iterdir():
            archive.write(path, path.name)
    with pytest.raises(UsageError, match=r'"toy\.zip": .* got a zip; sign first, then zip'):
        sign_bundle(tmp_path / "toy.zip", keys.signing)


def test_signing_again_replaces_the_signature(bundle_path, keys, other_keys):
    sign_bundle(bundle_path, keys.signing)
    first = (bundle_path / "bundle.sig").read_bytes()
    sign_bundle(bundle_path, other_keys.signing)
    assert (bundle_path / "bundle.sig").read_bytes() != first
    with Bundle.open(bundle_path, trust=other_keys.public) as bundle:
        assert bundle.signer == other_keys.signing.fingerprint


def test_calls_with_a_key(bundle_path, keys, refusals):
    assert refusals(SigningKey.read, {"path": keys.private, "passphrase": None}) == {"path"}
    assert refusals(sign_bundle, {"path": bundle_path, "key": keys.signing}) == {"path", "key"}
