"""Verifies a bundle's folder before any parser reads its files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import BundleError
from ..files.hashing import file_sha256
from ..shortage import raise_shortage
from .bundle_zip import is_safe_name
from .manifest import (
    CHECKSUM_NAME,
    MANIFEST_LIMIT,
    MANIFEST_NAME,
    Manifest,
    checksum_line,
    decode_manifest,
)
from .trusted_keys import SIGNATURE_NAME, SIGNATURE_SIZE, TrustedKeys

UNLISTED = frozenset({MANIFEST_NAME, CHECKSUM_NAME, SIGNATURE_NAME})  # what verifies the files is not among them
BUNDLE_LIMIT = 8 * 2**30  # bytes of all files together; the largest student so far has 0.2 GB

# Data formats only: no pickle, no code. A compiled TensorRT engine is code, so no bundle contains one.
_ALLOWED_SUFFIXES = {
    ".onnx", ".xml", ".bin", ".json", ".npy", ".safetensors", ".md", ".txt", ".toml", ".csv", ".png", ".svg",
}  # fmt: skip
_ALLOWED_NAMES = {"LICENSE", "LICENCE", "NOTICE"}
_MAX_FILES = 1000  # a bundle has some ten; a whole disk given by mistake has millions


@dataclass(frozen=True)
class VerifiedManifest:
    """The manifest of a bundle that agrees with it.

    Attributes:
        manifest: the decoded `bundle.json`.
        content: the bytes of `bundle.json`.
        signature: the bytes of `bundle.sig`, whoever made them; None where the bundle has none.
        signer: fingerprint of the trusted key that made the signature; None where no keys were given.
    """

    manifest: Manifest
    content: bytes
    signature: bytes | None
    signer: str | None


def verify_bundle(root: Path, name: str, keys: TrustedKeys | None = None) -> VerifiedManifest:
    """Verifies a bundle's folder: signature, names, sizes and hashes, and that it holds no other files.

    Args:
        root: path of the folder.
        name: name of the bundle, for messages.
        keys: the keys that may have signed the bundle; None accepts every bundle, signed or not.

    Raises:
        BundleError: the folder differs from its manifest, or none of the keys signed it; the message names the file.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    try:
        if not (root / MANIFEST_NAME).is_file():  # before listing the folder, which may be any folder
            raise BundleError(f'"{name}" is not a bundle: it has no {MANIFEST_NAME}{_advice(root)}')
        present = file_names(root)
        if CHECKSUM_NAME not in present:
            raise BundleError(f'"{name}" is not a bundle: it has no {CHECKSUM_NAME}')
        content = _read_small(root, MANIFEST_NAME, MANIFEST_LIMIT)
        if _read_small(root, CHECKSUM_NAME, 1000) != checksum_line(content):
            raise BundleError(f"{MANIFEST_NAME} does not have the hash in {CHECKSUM_NAME}: the bundle was altered")
        signature = _read_signature(root) if SIGNATURE_NAME in present else None
        signer = None if keys is None else keys.signer(content, signature, name)  # before a parser reads the manifest
        manifest = decode_manifest(content)
        check_names(manifest)
        _check_files(root, manifest, present)
    except OSError as error:
        raise_shortage(error, "the bundle")
        raise BundleError(f"the bundle cannot be read: {error.strerror}") from None
    return VerifiedManifest(manifest, content, signature, signer)


def _advice(folder: Path) -> str:
    """Returns advice about a folder that is no bundle, for the message, without listing the folder."""
    is_run = (folder / "config.toml").is_file() and (folder / "metrics.csv").is_file()
    if is_run:
        return "; this is a training run, bedside export makes a bundle of it"
    return "; expected a bundle, the folder that bedside export writes or a zip of it"


def _read_small(root: Path, name: str, limit: int) -> bytes:
    with (root / name).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleError(f"{name}: expected at most {limit} bytes")
    return content


def _read_signature(root: Path) -> bytes:
    with (root / SIGNATURE_NAME).open("rb") as file:
        content = file.read(SIGNATURE_SIZE + 1)
    if len(content) != SIGNATURE_SIZE:
        size = (root / SIGNATURE_NAME).stat().st_size
        raise BundleError(f"{SIGNATURE_NAME}: expected {SIGNATURE_SIZE} bytes, got {size}; copy the bundle again")
    return content


def file_names(root: Path) -> set[str]:
    """Returns the relative POSIX paths of all regular files below a folder.

    Raises:
        BundleError: the folder holds links or devices, or more than 1,000 files and folders.
        OSError: the folder cannot be read.
    """
    names: set[str] = set()
    for number, entry in enumerate(_entries(root)):
        name = Path(entry.path).relative_to(root).as_posix()
        mode = entry.stat(follow_symlinks=False).st_mode
        if number == _MAX_FILES:
            raise BundleError(f'"{root.name}" holds more than {_MAX_FILES} files and folders; a bundle has some ten')
        if stat.S_ISREG(mode):
            names.add(name)
        elif not stat.S_ISDIR(mode):
            raise BundleError(f'"{name}" is a link or device; a bundle holds plain files only')
    return names


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields all entries of a folder and its subfolders."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                yield entry


def check_names(manifest: Manifest) -> None:
    """Checks that listed names are plain data inside the bundle, and that every file the manifest refers to is listed.

    Raises:
        BundleError: a name is not allowed, or a file is not listed.
    """
    for name in manifest.files:
        if not is_safe_name(name) or name in UNLISTED:
            raise BundleError(f'{MANIFEST_NAME} lists "{name}"; expected a relative path inside the bundle')
        if Path(name).suffix not in _ALLOWED_SUFFIXES and Path(name).name not in _ALLOWED_NAMES:
            raise BundleError(f'"{name}" does not belong in a bundle: no pickles, no code, no engines built elsewhere')
    needed = [variant.file for variant in manifest.variants]
    needed += [variant.weights for variant in manifest.variants if variant.weights is not None]
    needed += [] if manifest.golden is None else manifest.golden.files
    needed += [] if manifest.locator is None else manifest.locator.files
    missing = [name for name in needed if name not in manifest.files]
    if missing:
        raise BundleError(f"{MANIFEST_NAME} refers to files it does not list: {', '.join(missing)}")


def _check_files(root: Path, manifest: Manifest, present: set[str]) -> None:
    named = set(manifest.files)
    extra = present - named - UNLISTED
    if extra:
        raise BundleError(f"files that {MANIFEST_NAME} does not list: {', '.join(sorted(extra)[:3])}; remove them")
    if named - present:
        raise BundleError(f"missing from the bundle: {', '.join(sorted(named - present)[:3])}; copy it again")
    if manifest.total_bytes > BUNDLE_LIMIT:
        raise BundleError(f"the bundle holds more than {BUNDLE_LIMIT} bytes")
    for name, entry in manifest.files.items():
        size = (root / name).stat().st_size
        if size != entry.size:
            raise BundleError(f"{name}: expected {entry.size} bytes, got {size}; copy the bundle again")
        if file_sha256(root / name) != entry.sha256:
            raise BundleError(f"{name} does not have the SHA-256 in {MANIFEST_NAME}; copy the bundle again")
