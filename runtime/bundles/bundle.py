"""The bundle: a directory or zip whose every byte is checked before any parser sees it."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..engines.model_bytes import ModelBytes
from ..errors import BundleError, ResourceError
from ..files.atomic import atomic_write
from ..files.hashing import file_sha256
from ..files.leftovers import remove_leftovers, temporary_name
from ..files.swap import bring_back
from ..task import Task
from .bundle_zip import extract, is_safe_name
from .manifest import (
    CHECKSUM_NAME,
    MANIFEST_LIMIT,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    Variant,
    checksum_line,
    decode_manifest,
)

BUNDLE_LIMIT = 8 * 2**30  # bytes of all files together; the largest student so far takes 0.2 GB

# Data formats only: no pickle, no code. A compiled TensorRT engine is code, so it never travels in a bundle.
_ALLOWED_SUFFIXES = {".onnx", ".xml", ".bin", ".json", ".npy", ".md", ".txt", ".toml", ".csv", ".png", ".svg"}
_ALLOWED_NAMES = {"LICENSE", "LICENCE", "NOTICE"}
_MOST_FILES = 1000  # a bundle has some ten; a whole disk given by mistake has millions


class Bundle:
    """A verified model bundle; a context manager, because a zip is unpacked into a temporary folder.

    Attributes:
        path: the directory or zip that was opened.
        manifest: what `bundle.json` says.
        sha256: of `bundle.json` as it was verified; it holds that of every other file, so it stands for the bundle.
    """

    def __init__(self, path: Path, root: Path, temporary: bool):
        self.path = path
        self.manifest, self.sha256 = _verified(root, path.name or root.name)
        self._root = root
        self._remove = weakref.finalize(self, _remove, root, os.getpid()) if temporary else None

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Opens a bundle and verifies the size and SHA-256 of every file.

        The manifest itself is covered by `bundle.sha256`. Links, files that the manifest does not list, names that lead
        out of the bundle and formats other than plain data are refused. A bundle whose replacement was killed half-way
        is brought back.

        Args:
            path: a directory or a zip of one.

        Raises:
            BundleError: anything is not as the manifest says; the message names the file.
            ResourceError: no room to unpack a zip.
        """
        path = Path(path)
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            return cls(path, path.absolute(), temporary=False)
        if not stat.S_ISREG(mode):
            raise BundleError(f'no bundle at "{path.name}"; expected a directory or zip with a {MANIFEST_NAME}')
        root = _temporary_folder()
        try:
            extract(path, root, BUNDLE_LIMIT)
            return cls(path, root, temporary=True)
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
        """Returns where a file of the bundle lies; what is there by now is another question, see `read`.

        Args:
            name: path in the bundle, as in the manifest (``"openvino/model.fp32.xml"``).

        Raises:
            BundleError: the bundle does not list such a file.
        """
        if name not in self.manifest.files:
            raise BundleError(f'the bundle has no file "{name}"; it lists: {", ".join(sorted(self.manifest.files))}')
        return self._root / name

    def read(self, name: str) -> bytes:
        """Reads a file of the bundle and verifies once more what was read: it may have been replaced meanwhile.

        Args:
            name: as in `file`.

        Raises:
            BundleError: no such file, or it is another one by now.
        """
        path, entry = self.file(name), self.manifest.files[name]
        try:
            with path.open("rb") as file:
                content = file.read(entry.size + 1)
        except OSError as error:
            raise BundleError(f"{name} cannot be read: {error.strerror}") from None
        if sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{name} was changed since the bundle was opened; open it again")
        return content

    def model(self, variant: Variant) -> Callable[[], ModelBytes]:
        """Returns what reads and verifies a variant's model, for `open_engine`."""

        def read() -> ModelBytes:
            weights = _weights_of(variant)
            return ModelBytes(self.read(variant.file), None if weights is None else self.read(weights))

        return read

    def variant(self, engine: str, precision: str) -> Variant:
        """Returns the model to run with an engine in a precision.

        Engines that read ONNX take the ONNX of that precision where no form of their own is in the bundle.

        Raises:
            BundleError: the bundle has none.
        """
        for wanted in (engine, "onnxruntime"):
            for variant in self.manifest.variants:
                if variant.engine == wanted and variant.precision == precision:
                    return variant
        offered = ", ".join(f"{variant.engine} {variant.precision}" for variant in self.manifest.variants)
        raise BundleError(f"the bundle has no {precision} model for {engine}; it has: {offered}")

    def offers(self, engine: str, precision: str) -> bool:
        """Whether there is a model to run with an engine in a precision, as `variant` finds it."""
        engines = {variant.engine for variant in self.manifest.variants if variant.precision == precision}
        return bool(engines & {engine, "onnxruntime"})

    def array(self, name: str) -> NDArray[np.float32]:
        """Reads a float32 ``.npy`` of the bundle; pickled objects are refused.

        Raises:
            BundleError: no such file, or not a float32 array.
        """
        try:
            array = np.load(io.BytesIO(self.read(name)), allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError, MemoryError) as error:
            raise BundleError(f"{name} is not a plain NumPy array: {error}") from None
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise BundleError(f"{name}: expected a float32 array")
        return array


def write_manifest(directory: Path, manifest: Manifest) -> Manifest:
    """Hashes every file of a bundle directory and writes `bundle.json` and `bundle.sha256` there.

    Args:
        directory: all files of the bundle, complete; an old `bundle.json` is replaced.
        manifest: everything but ``files``, which is filled in.

    Returns:
        The manifest as written.

    Raises:
        BundleError: a file does not belong in a bundle, or the manifest names one that is not there.
        ResourceError: the directory cannot be written.
    """
    names = sorted(_listed(directory) - {MANIFEST_NAME, CHECKSUM_NAME})
    paths = {name: directory / name for name in names}
    files = {name: FileEntry(size=path.stat().st_size, sha256=file_sha256(path)) for name, path in paths.items()}
    complete = msgspec.structs.replace(manifest, files=files)
    _check_names(complete)
    content = complete.encoded()
    decode_manifest(content)  # what would be refused on the device is refused here
    for name, data in ((MANIFEST_NAME, content), (CHECKSUM_NAME, checksum_line(content))):
        with atomic_write(directory / name) as temporary:
            temporary.write_bytes(data)
    return complete


def _mode(path: Path) -> int:
    """Returns what there is at a path, 0 for nothing."""
    try:
        bring_back(path.resolve())
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, RuntimeError, ValueError) as error:  # closed to us, too long, links in a circle, a NUL
        reason = getattr(error, "strerror", None) or "not a path"
        raise BundleError(f'no bundle at "{path.name}": {reason}; check the path and permissions') from None


def _temporary_folder() -> Path:
    try:
        remove_leftovers(Path(tempfile.gettempdir()))  # of processes that were killed
        return Path(tempfile.mkdtemp(prefix=temporary_name("-")))
    except OSError as error:
        raise ResourceError(f"no temporary folder to unpack the bundle: {error.strerror}") from None


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a child that was forked meanwhile ends, too, and has not made it
        shutil.rmtree(folder, ignore_errors=True)


def _verified(root: Path, told: str) -> tuple[Manifest, str]:
    """Returns the manifest and its SHA-256; ``told`` is what the bundle is called in messages."""
    try:
        if not (root / MANIFEST_NAME).is_file():  # before the folder is gone through: it may be anything
            raise BundleError(f'"{told}" is not a bundle: it has no {MANIFEST_NAME}')
        present = _listed(root)
        if CHECKSUM_NAME not in present:
            raise BundleError(f'"{told}" is not a bundle: it has no {CHECKSUM_NAME}')
        content = _small_file(root, MANIFEST_NAME, MANIFEST_LIMIT)
        if _small_file(root, CHECKSUM_NAME, 1000) != checksum_line(content):
            raise BundleError(f"{MANIFEST_NAME} does not have the hash in {CHECKSUM_NAME}: the bundle was altered")
        manifest = decode_manifest(content)
        _check_names(manifest)
        _check_files(root, manifest, present)
    except OSError as error:
        raise BundleError(f"the bundle cannot be read: {error.strerror}") from None
    return manifest, sha256(content).hexdigest()


def _small_file(root: Path, name: str, limit: int) -> bytes:
    with (root / name).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleError(f"{name}: expected at most {limit} bytes")
    return content


def _listed(root: Path) -> set[str]:
    """Returns the relative POSIX paths of all regular files; refuses anything else but folders."""
    names: set[str] = set()
    for number, entry in enumerate(_entries(root)):
        name = Path(entry.path).relative_to(root).as_posix()
        mode = entry.stat(follow_symlinks=False).st_mode
        if number == _MOST_FILES:
            raise BundleError(f'"{root.name}" holds more than {_MOST_FILES} files and folders; a bundle has some ten')
        if stat.S_ISREG(mode):
            names.add(name)
        elif not stat.S_ISDIR(mode):
            raise BundleError(f'"{name}" is a link or device; a bundle holds plain files only')
    return names


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields all that lies in a folder and its folders."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                yield entry


def _check_names(manifest: Manifest) -> None:
    """Checks that listed names are plain data inside the bundle, and that what the manifest refers to is listed."""
    for name in manifest.files:
        if not is_safe_name(name) or name in (MANIFEST_NAME, CHECKSUM_NAME):
            raise BundleError(f'{MANIFEST_NAME} lists "{name}"; expected a relative path inside the bundle')
        if Path(name).suffix not in _ALLOWED_SUFFIXES and Path(name).name not in _ALLOWED_NAMES:
            raise BundleError(f'"{name}" does not belong in a bundle: no pickles, no code, no engines built elsewhere')
    needed = [variant.file for variant in manifest.variants]
    needed += [weights for variant in manifest.variants if (weights := _weights_of(variant)) is not None]
    needed += [] if manifest.golden is None else [manifest.golden.input, manifest.golden.output]
    missing = [name for name in needed if name not in manifest.files]
    if missing:
        raise BundleError(f"{MANIFEST_NAME} refers to files it does not list: {', '.join(missing)}")


def _weights_of(variant: Variant) -> str | None:
    """Returns the file of an IR's weights; None for an ONNX, which holds its own."""
    return variant.file.removesuffix(".xml") + ".bin" if variant.file.endswith(".xml") else None


def _check_files(root: Path, manifest: Manifest, present: set[str]) -> None:
    listed = set(manifest.files)
    extra = present - listed - {MANIFEST_NAME, CHECKSUM_NAME}
    if extra:
        raise BundleError(f"files that {MANIFEST_NAME} does not list: {', '.join(sorted(extra)[:3])}; remove them")
    if listed - present:
        raise BundleError(f"missing from the bundle: {', '.join(sorted(listed - present)[:3])}; copy it again")
    if sum(entry.size for entry in manifest.files.values()) > BUNDLE_LIMIT:
        raise BundleError(f"the bundle holds more than {BUNDLE_LIMIT} bytes")
    for name, entry in manifest.files.items():
        size = (root / name).stat().st_size
        if size != entry.size:
            raise BundleError(f"{name}: expected {entry.size} bytes, got {size}; copy the bundle again")
        if file_sha256(root / name) != entry.sha256:
            raise BundleError(f"{name} does not have the SHA-256 in {MANIFEST_NAME}; copy the bundle again")
