"""Signs a bundle with an Ed25519 key, so that a device can tell who made it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import arguments
from ..errors import InputError, UsageError
from ..files.atomic import atomic_write
from ..files.system_files import is_folder
from .bundle import Bundle
from .manifest import MANIFEST_NAME
from .trusted_keys import SIGNATURE_NAME, fingerprint, load_key, read_key_file, require_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_EXPECTED = "an Ed25519 private key, PEM or OpenSSH"


@dataclass(frozen=True)
class SigningKey:
    """A private Ed25519 key.

    Attributes:
        fingerprint: that of its public key, as `ssh-keygen -l` prints it.
    """

    fingerprint: str
    _key: Ed25519PrivateKey = field(repr=False)

    @staticmethod
    def read(path: str | os.PathLike[str], passphrase: Callable[[], str] | None = None) -> SigningKey:
        """Reads a key: PKCS #8 PEM as `openssl genpkey -algorithm ed25519` writes it, or OpenSSH's own format.

        Args:
            path: file of the key. As with ssh, nobody but its owner may be able to read it.
            passphrase: called where the key is encrypted; None refuses such a key.

        Raises:
            UsageError: ``path`` is not a path, or the key is encrypted and there is no passphrase.
            InputError: the file holds no Ed25519 private key, others can read it, or the passphrase is wrong.
            MissingExtraError: `cryptography` is not installed.
        """
        path = arguments.path("key", path)
        passphrase = arguments.optional(arguments.callback, "passphrase", passphrase)
        require_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        content = read_key_file(path)
        secret, expected = None, _EXPECTED
        if _is_encrypted(content):
            if passphrase is None:
                raise UsageError(f'"{path.name}": the key has a passphrase; give it')
            secret, expected = passphrase().encode(), f"{_EXPECTED}, and its passphrase"
        key = load_key(lambda: _loaded(content, secret), Ed25519PrivateKey, path, expected)
        _refuse_readable_by_others(path)  # now that it is known to be a private key
        return SigningKey(fingerprint(key.public_key()), key)

    def sign(self, content: bytes) -> bytes:
        """Returns the signature of some bytes, 64 bytes (RFC 8032)."""
        return self._key.sign(content)


def sign_bundle(path: str | os.PathLike[str], key: SigningKey) -> None:
    """Verifies a bundle and writes the signature of its manifest, `bundle.sig`; replaces an earlier one.

    Args:
        path: bundle directory. Zip it after signing: a zip is not changed.
        key: the key.

    Raises:
        UsageError: ``path`` is a zip or no path, or ``key`` is no `SigningKey`.
        BundleError: the bundle is damaged.
        ResourceError: the signature cannot be written.
    """
    path = arguments.path("bundle", path)
    key = arguments.instance("key", key, SigningKey, "read one with SigningKey.read")
    with Bundle.open(path) as bundle:
        if not is_folder(path):
            raise UsageError(f'"{path.name}": expected the directory of a bundle, got a zip; sign first, then zip')
        signature = key.sign(bundle.unlisted()[MANIFEST_NAME])
    with atomic_write(path / SIGNATURE_NAME) as temporary:
        temporary.write_bytes(signature)


def _is_encrypted(content: bytes) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        _loaded(content, None)
    except TypeError:  # a passphrase is missing
        return True
    except (ValueError, UnsupportedAlgorithm):  # no key: the caller refuses it
        return False
    return False


def _loaded(content: bytes, passphrase: bytes | None) -> object:
    from cryptography.hazmat.primitives import serialization

    if b"BEGIN OPENSSH PRIVATE KEY" in content:
        return serialization.load_ssh_private_key(content, passphrase)
    return serialization.load_pem_private_key(content, passphrase)


def _refuse_readable_by_others(path: Path) -> None:
    """Refuses a key of this user's that others may read, as ssh does; Windows has access lists instead."""
    found = path.stat()
    if os.name == "posix" and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        raise InputError(
            f'"{path.name}": others can read this private key (mode {stat.S_IMODE(found.st_mode):o}); '
            "run chmod 600 on it"
        )
