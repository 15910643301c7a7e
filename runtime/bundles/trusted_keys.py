"""The public keys that a caller trusts, for the signature of a bundle.

A signature is Ed25519 (RFC 8032) over the bytes of `bundle.json`, which holds the hash of every other file; its 64
bytes are the file `bundle.sig`. `cryptography` (extra ``sign``) is imported only where keys are given.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .. import arguments
from ..errors import BundleError, InputError, MissingExtraError
from ..files.system_files import is_file, is_folder
from ..shortage import raise_shortage
from .manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE_NAME = "bundle.sig"
SIGNATURE_SIZE = 64  # bytes
KEY_ENDINGS = (".pem", ".pub")  # of the files that count in a folder of keys
_KEY_LIMIT = 16_384  # bytes; an Ed25519 key has some hundred, an RSA key of 16,384 bits about 12,000
_EXPECTED = "one Ed25519 public key, PEM or OpenSSH"

Trust: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]]"  # path of a key or folder of keys, or several

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class TrustedKeys:
    """Ed25519 public keys, one or more.

    Attributes:
        keys: fingerprint, as `ssh-keygen -l` prints it → key.
    """

    keys: Mapping[str, Ed25519PublicKey]

    @staticmethod
    def read(paths: Iterable[Path]) -> TrustedKeys:
        """Reads keys from files: PEM as OpenSSL writes it ("BEGIN PUBLIC KEY"), or OpenSSH ("ssh-ed25519 …").

        Args:
            paths: files of one key each, or folders; in a folder every ``.pem`` and ``.pub`` counts.

        Raises:
            InputError: a file holds no Ed25519 public key, or a folder no key.
            MissingExtraError: `cryptography` is not installed.
        """
        require_cryptography()
        keys = [_public_key(file) for path in paths for file in _key_files(path)]
        return TrustedKeys({fingerprint(key): key for key in keys})

    def signer(self, manifest: bytes, signature: bytes | None, name: str) -> str:
        """Returns the fingerprint of the key that signed a manifest.

        Args:
            manifest: the bytes of `bundle.json`.
            signature: those of `bundle.sig`; None where the bundle has none.
            name: name of the bundle, for messages.

        Raises:
            BundleError: there is no signature, or none of these keys made it for this manifest.
        """
        from cryptography.exceptions import InvalidSignature

        if signature is None:
            raise BundleError(f'"{name}" is not signed: it has no {SIGNATURE_NAME}; take a signed bundle')
        for found, key in self.keys.items():
            try:
                key.verify(signature, manifest)
            except InvalidSignature:
                continue
            return found
        raise BundleError(
            f'"{name}" was altered or signed with another key: {SIGNATURE_NAME} does not sign this {MANIFEST_NAME} '
            f"with {' or '.join(self.keys)}"
        )


def trusted_keys(name: str, value: Any) -> TrustedKeys:
    """Accepts the path of a public key or of a folder of keys, or several paths, and reads the keys.

    Raises:
        UsageError: anything else, and no path at all: it would look like trust and check nothing.
        InputError, MissingExtraError: as `TrustedKeys.read`.
    """
    expected = "the path of a public key, or several"
    given = (value,) if arguments.is_path(value) else arguments.sequence(name, value, expected)
    if not given:
        arguments.refuse(name, expected, value)
    return TrustedKeys.read([arguments.path(name, each) for each in given])


def require_cryptography() -> None:
    """Raises `MissingExtraError` where `cryptography` is not installed."""
    if find_spec("cryptography") is None:
        raise MissingExtraError("cryptography", "sign")


def fingerprint(key: Ed25519PublicKey) -> str:
    """Returns the fingerprint of a public key as OpenSSH writes it: "SHA256:" and 43 characters (RFC 4648, base64)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)  # "ssh-ed25519 AAAA…"
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read_key_file(path: Path) -> bytes:
    """Returns the content of a key's file.

    Raises:
        InputError: there is no such file, it is too large for a key, or it cannot be read.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    if not is_file(path):
        raise InputError(f'"{path.name}": expected the file of a key, found none')
    try:
        with path.open("rb") as file:
            content = file.read(_KEY_LIMIT + 1)
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}": the key cannot be read ({error.strerror})') from None
    if len(content) > _KEY_LIMIT:
        raise InputError(f'"{path.name}": expected a key, got more than {_KEY_LIMIT} bytes')
    return content


def load_key(load: Callable[[], object], kind: type[_Key], path: Path, expected: str) -> _Key:
    """Calls a loader of `cryptography`; everything but a key of one kind is refused.

    Raises:
        InputError: the loader refuses the file's content, or returns a key of another kind.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their messages are about the format's details
        raise InputError(f'"{path.name}": expected {expected}; got another file, or a damaged one') from None
    if not isinstance(key, kind):
        other = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").strip("_")
        raise InputError(f'"{path.name}": expected {expected}, got a key for {other}')
    return key


def _key_files(path: Path) -> list[Path]:
    if not is_folder(path):
        return [path]
    try:
        files = sorted(each for each in path.iterdir() if each.suffix in KEY_ENDINGS)
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}": the folder of keys cannot be read ({error.strerror})') from None
    if not files:
        raise InputError(f'"{path.name}": expected public keys ({" or ".join(KEY_ENDINGS)}) in this folder, found none')
    return files


def _public_key(path: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = read_key_file(path).strip()
    if b"PRIVATE KEY-----" in content:
        raise InputError(f'"{path.name}": expected {_EXPECTED}, got a private key; keep it where bundles are signed')
    is_pem = b"-----BEGIN" in content
    # The loaders read the first key of a file and nothing after it.
    if content.count(b"-----BEGIN" if is_pem else b"\n") > (1 if is_pem else 0):
        raise InputError(f'"{path.name}": expected {_EXPECTED}, got several lines or keys; one file for each key')
    load = serialization.load_pem_public_key if is_pem else serialization.load_ssh_public_key
    return load_key(lambda: load(content), Ed25519PublicKey, path, _EXPECTED)
