"""The bundle: a directory or zip whose files are all verified before any parser reads them."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import arguments
from ..engines import engines_with_variants_for
from ..engines.model_bytes import ModelBytes
from ..errors import BundleError, ResourceError, first_line
from ..files.folder_replacement import restore_moved_folder
from ..files.temporaries import remove_leftovers, temporary_name
from ..scans.file_kind import BUNDLE, ZIP, has_nifti_magic, kind_of_file
from ..shortage import raise_shortage
from ..task import Task
from .bundle_zip import extract
from .manifest import (
    CHECKSUM_NAME,
    MANIFEST_NAME,
    checksum_line,
)
from .trusted_keys import SIGNATURE_NAME, Trust, TrustedKeys, trusted_keys
from .variant import Variant
from .verification import BUNDLE_LIMIT, verify_bundle

_ARRAY_TYPES = [np.dtype(kind) for kind in (np.float32, np.float16, np.uint8, np.uint16)]
_HEADER_LIMIT = 1000  # characters; NumPy writes some hundred


class Bundle:
    """A verified model bundle; a context manager that removes the temporary folder of a zip.

    Attributes:
        path: path of the directory or zip that was opened.
        manifest: the decoded `bundle.json`.
        sha256: SHA-256 of the verified `bundle.json`; it identifies the bundle, because `bundle.json` holds the hash of
            every other file.
        is_signed: whether the bundle has a signature, whoever made it.
        signer: fingerprint of the trusted key that made the signature; None where the bundle was opened without
            ``trust``.
    """

    def __init__(self, path: Path, root: Path, temporary: bool, keys: TrustedKeys | None = None):
        self.path = path
        self._verified = verify_bundle(root, path.name or root.name, keys)
        self.manifest, self.signer = self._verified.manifest, self._verified.signer
        self.sha256 = sha256(self._verified.content).hexdigest()
        self.is_signed = self._verified.signature is not None
        self._root = root
        self._remove = weakref.finalize(self, _remove, root, os.getpid()) if temporary else None

    @classmethod
    def open(cls, path: str | os.PathLike[str], trust: Trust | None = None) -> Bundle:
        """Opens a bundle and verifies the size and SHA-256 of every file.

        `bundle.sha256` holds the hash of the manifest. Links, files that the manifest does not list, names that lead
        out of the bundle and formats other than plain data are refused. A bundle whose replacement was killed half-way
        is restored first.

        Args:
            path: path of a bundle directory, or of a zip of one.
            trust: path of an Ed25519 public key or of a folder of keys, or several: one of them must have signed the
                bundle. None opens every bundle, signed or not.

        Raises:
            UsageError: an argument is not a path.
            InputError: a key of ``trust`` is refused.
            MissingExtraError: ``trust`` is given, and `cryptography` is not installed.
            BundleError: the bundle differs from its manifest, or is not signed with a trusted key; the message names
                the file.
            ResourceError: there is no disk space to unpack a zip, file descriptors ran out, or the disk failed.
        """
        path = arguments.path("bundle", path)
        keys = arguments.optional(trusted_keys, "trust", trust)
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            return cls(path, path.absolute(), temporary=False, keys=keys)
        if not stat.S_ISREG(mode):
            raise BundleError(f'no bundle at "{path.name}"; expected a directory or zip with a {MANIFEST_NAME}')
        _refuse_other_kind(path)
        root = _temporary_folder()
        try:
            extract(path, root, BUNDLE_LIMIT)
            return cls(path, root, temporary=True, keys=keys)
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the temporary folder of a zip; may be called twice."""
        if self._remove is not None:
            self._remove()

    @property
    def task(self) -> Task:
        """The task the model was trained for."""
        return self.manifest.task

    def file(self, name: str) -> Path:
        """Returns the path of a file of the bundle, without verifying its present content; see `read`.

        Args:
            name: path in the bundle, as in the manifest (``"openvino/model.fp32.xml"``).

        Raises:
            UsageError: ``name`` is not a string.
            BundleError: the bundle lists no such file.
        """
        name = arguments.text("name", name)
        if name not in self.manifest.files:
            raise BundleError(f'the bundle has no file "{name}"; it lists: {", ".join(sorted(self.manifest.files))}')
        return self._root / name

    def read(self, name: str) -> bytes:
        """Reads a file of the bundle and verifies its hash again, because it may have been replaced meanwhile.

        Args:
            name: path in the bundle, as in `file`.

        Raises:
            BundleError: the bundle has no such file, or it was changed since the bundle was opened.
            ResourceError: memory or file descriptors ran out, or the disk failed.
        """
        path, entry = self.file(name), self.manifest.files[name]
        try:
            with path.open("rb") as file:
                content = file.read(entry.size + 1)
        except (OSError, MemoryError) as error:
            raise_shortage(error, name)
            raise BundleError(f"{name} cannot be read: {getattr(error, 'strerror', '')}") from None
        if sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{name} was changed since the bundle was opened; open it again")
        return content

    def unlisted(self) -> dict[str, bytes]:
        """Returns name → content of the files that the manifest does not list, as they were when they were verified."""
        content, signature = self._verified.content, self._verified.signature
        files = {MANIFEST_NAME: content, CHECKSUM_NAME: checksum_line(content)}
        return files if signature is None else {**files, SIGNATURE_NAME: signature}

    def model(self, variant: Variant) -> Callable[[], ModelBytes]:
        """Returns a function that reads and verifies a variant's model, for `open_engine`."""
        variant = arguments.instance("variant", variant, Variant)

        def read() -> ModelBytes:
            weights = variant.weights
            return ModelBytes(self.read(variant.file), None if weights is None else self.read(weights))

        return read

    def variant(self, engine: str, precision: str) -> Variant:
        """Returns the variant to run with an engine in a precision.

        Where the bundle has no variant for this engine, another engine's variant of that precision in a format that
        this engine opens is returned, unless this engine's own failed at the gate and was left out.

        Args:
            engine: name of the engine.
            precision: precision of the variant.

        Raises:
            UsageError: an argument is not a string.
            BundleError: the bundle has no such variant.
        """
        found = self._variant(engine, precision)
        if found is not None:
            return found
        failed = self._left_out(engine, precision)
        why = "" if failed is None else f", which failed at the gate ({failed.gate_reason})"
        offered = ", ".join(variant.name for variant in self.manifest.variants)
        others = failed is not None or any(variant.precision == precision for variant in self.manifest.variants)
        whose = f" for {engine}{why}" if others else ""  # no engine has one: the caller may have named none
        raise BundleError(f"the bundle has no {precision} model{whose}; it has: {offered}")

    def offers(self, engine: str, precision: str) -> bool:
        """Whether `variant` finds a model for an engine in a precision."""
        return self._variant(engine, precision) is not None

    def _variant(self, engine: str, precision: str) -> Variant | None:
        """Returns an engine's own variant in a precision, or else another engine's that it can open, or None."""
        engine, precision = arguments.text("engine", engine), arguments.text("precision", precision)
        if self._left_out(engine, precision) is not None:  # another engine's file would run what failed with this one
            return None
        for wanted in engines_with_variants_for(engine):
            for variant in self.manifest.variants:
                if variant.engine == wanted and variant.precision == precision:
                    return variant
        return None

    def _left_out(self, engine: str, precision: str) -> Variant | None:
        """Returns an engine's variant in a precision that failed and has no files here, or None."""
        found = (each for each in self.manifest.left_out if (each.engine, each.precision) == (engine, precision))
        return next(found, None)

    def array(self, name: str) -> NDArray[Any]:
        """Reads a ``.npy`` file of the bundle, of float32, float16, uint8 or uint16; refuses pickled objects.

        Args:
            name: path in the bundle, as in `file`.

        Raises:
            UsageError: ``name`` is not a string.
            BundleError: the bundle has no such file, or it is not an array of these types.
            ResourceError: memory or file descriptors ran out, or the disk failed.
        """
        content = self.read(name)
        try:
            array = _array_in(content)
        except Exception as error:  # NumPy raises whatever a damaged header causes
            raise_shortage(error, name)
            raise BundleError(f"{name} is not a plain NumPy array: {first_line(error)}") from None
        if array.dtype not in _ARRAY_TYPES:
            raise BundleError(f"{name}: expected an array of float32, float16, uint8 or uint16")
        return array


def _array_in(content: bytes) -> NDArray[Any]:
    """Returns the array that a ``.npy`` file holds, read-only and uncopied, so that a false header takes no memory.

    Raises:
        Exception: whatever a damaged header causes in NumPy.
    """
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("expected version 1.0 of the format")
    # Python's parser itself raises MemoryError for some headers of thousands of characters.
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER_LIMIT)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if by_columns else "C")


def _mode(path: Path) -> int:
    """Returns the mode (``st_mode``) of the file or folder at a path; 0 where there is none."""
    try:
        restore_moved_folder(path.resolve())
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, RuntimeError, ValueError) as error:  # no permission, too long, a loop of links, a NUL
        reason = getattr(error, "strerror", None) or "not a path"
        raise_shortage(error, f'"{path.name}"')
        raise BundleError(f'no bundle at "{path.name}": {reason}; check the path and permissions') from None


def _refuse_other_kind(path: Path) -> None:
    """Refuses files of a known kind other than a zip, and names the kind; `extract` checks all others."""
    if has_nifti_magic(path):
        raise BundleError(
            f'"{path.name}": expected a bundle, got a NIfTI file; give the folder or .zip that bedside export wrote'
        )
    kind = kind_of_file(path)
    if kind is not None and kind not in (BUNDLE, ZIP):
        raise BundleError(
            f'"{path.name}": expected a bundle, got no zip but {kind.name}; copy it again, or give what bedside export '
            "wrote"
        )


def _temporary_folder() -> Path:
    try:
        remove_leftovers(Path(tempfile.gettempdir()))  # of processes that were killed
        return Path(tempfile.mkdtemp(prefix=temporary_name("-")))
    except OSError as error:
        raise ResourceError(f"no temporary folder to unpack the bundle: {error.strerror}") from None


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child runs this too when it ends, and must not delete its parent's folder
        shutil.rmtree(folder, ignore_errors=True)
