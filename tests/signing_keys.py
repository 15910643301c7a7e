"""Fixtures: keys that sign bundles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from bedside.runtime import SigningKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


@dataclass(frozen=True)
class Keys:
    """The two files of a key, and the key that was read from the private one."""

    private: Path
    public: Path

    @property
    def signing(self) -> SigningKey:
        return SigningKey.read(self.private)


def written(key: Ed25519PrivateKey, folder: Path, name: str) -> Keys:
    keys = Keys(folder / f"{name}.key", folder / f"{name}.pub")
    keys.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    keys.private.chmod(0o600)
    keys.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return keys


@pytest.fixture
def new_key() -> Callable[[], Ed25519PrivateKey]:
    return Ed25519PrivateKey.generate


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    (tmp_path / "keys").mkdir()
    return written(Ed25519PrivateKey.generate(), tmp_path / "keys", "release")


@pytest.fixture
def other_keys(tmp_path: Path) -> Keys:
    (tmp_path / "others").mkdir()
    return written(Ed25519PrivateKey.generate(), tmp_path / "others", "other")
