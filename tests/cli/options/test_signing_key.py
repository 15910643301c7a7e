"""A passphrase comes from the environment, or from the terminal if there is one."""

from __future__ import annotations

import io

import pytest
from bedside.cli.options import signing_key
from bedside.cli.options.signing_key import PASSPHRASE_VARIABLE, read_signing_key
from bedside.runtime import InputError, UsageError
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat


@pytest.fixture
def encrypted(new_key, tmp_path):
    path = tmp_path / "release.pem"
    path.write_bytes(new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    path.chmod(0o600)
    return path


def refuse(prompt):
    raise EOFError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_variable_has_the_passphrase(encrypted, monkeypatch):
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "secret")
    assert read_signing_key(encrypted).fingerprint.startswith("SHA256:")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(InputError, match="and its passphrase"):
        read_signing_key(encrypted)


def test_without_the_variable_the_terminal_is_asked(encrypted, monkeypatch):
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(signing_key, "getpass", lambda prompt: "secret")
    assert read_signing_key(encrypted).fingerprint.startswith("SHA256:")
    monkeypatch.setattr(signing_key, "getpass", refuse)
    with pytest.raises(UsageError, match="none was given"):
        read_signing_key(encrypted)


@pytest.mark.parametrize("stdin", [None, io.StringIO("secret")])
def test_without_terminal_the_variable_is_named(encrypted, monkeypatch, stdin):
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(UsageError, match="set BEDSIDE_PASSPHRASE, or call from a terminal"):
        read_signing_key(encrypted)


def test_a_key_without_passphrase_needs_none(keys, monkeypatch):
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    assert read_signing_key(keys.private).fingerprint == keys.signing.fingerprint
