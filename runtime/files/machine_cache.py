"""The machine cache: engine choices and compiled networks for the next start, in a folder of the user's own.

It holds no patient data. Records are small JSON files, decoded strictly; a compiled network is used only if its hash
matches its record. Files that are damaged, not the user's own or unwritable are ignored: losing them costs seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import ResourceError
from .atomic import atomic_write, make_folder
from .lock import advisory_lock

_log = logging.getLogger("bedside.cache")
_RECORD_LIMIT = 100_000  # bytes; records have a few thousand
_COMPILED_LIMIT = 2**30  # bytes; a few times a student's weights
_MOST_COMPILED = 16  # for all bundles together; the oldest is deleted first
_PATIENCE = 60.0  # seconds to wait for another process; then both measure

_SHA256 = re.compile("[0-9a-f]{64}")

Record = TypeVar("Record", bound=msgspec.Struct)


class MachineCache:
    """The user's folder of records; without a folder, reads find nothing and writes do nothing.

    Args:
        folder: folder of the records; None for no cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @staticmethod
    def of_this_user() -> MachineCache:
        """Returns the cache in ``$BEDSIDE_CACHE``, else ``$XDG_CACHE_HOME/bedside``, else ``~/.cache/bedside``.

        ``BEDSIDE_CACHE=off`` gives a cache without a folder, and so does a folder that cannot be created or that
        another user could write to; these two are logged.
        """
        wanted = os.environ.get("BEDSIDE_CACHE", "")
        if wanted == "off":
            return MachineCache(None)
        try:
            folder = Path(wanted) if wanted else _user_cache() / "bedside"
            make_folder(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            trouble = _writable_by_others(folder.stat())
        except (OSError, RuntimeError, ResourceError) as error:  # RuntimeError: the user has no home
            trouble, folder = _reason(error), None
        if trouble:
            _log.info("working without the cache of this machine: %s", trouble)
            return MachineCache(None)
        return MachineCache(folder)

    def exclusive(self) -> AbstractContextManager[None]:
        """Returns a context manager that only one process of this user enters at a time; waits one minute at most.

        Processes started at the same time would otherwise disturb each other's timing and might choose differently. A
        wait of more than a second is logged.
        """
        if self._folder is None:
            return nullcontext()
        return advisory_lock(self._folder / "measuring.lock", _PATIENCE, "measures the engines of this machine")

    def read(self, key: str, kind: type[Record]) -> Record | None:
        """Reads the record of a key; None where there is none, or where it cannot be trusted (logged)."""
        if self._folder is None:
            return None
        try:
            content = _read_own(self._folder / _file_name(key, ".json"), _RECORD_LIMIT)
            return msgspec.json.decode(content, type=kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueError
            _log.info("cached choice of this machine rejected, measuring again: %s", _reason(error))
            return None

    def write(self, key: str, record: msgspec.Struct) -> None:
        """Writes the record of a key; a failure is only logged."""
        self._write(_file_name(key, ".json"), msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")

    def read_compiled(self, sha256: str) -> bytes | None:
        """Reads a compiled network by its SHA-256; None where it is missing, or unreadable or altered (logged)."""
        if self._folder is None or not _SHA256.fullmatch(sha256):
            return None
        try:
            content = _read_own(self._folder / f"{sha256}.compiled", _COMPILED_LIMIT)
        except FileNotFoundError:
            return None  # deleted to make room for newer ones
        except (OSError, ValueError) as error:
            _log.info("cached model rejected, recompiling: %s", _reason(error))
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            _log.info("cached model rejected, recompiling: its hash is not the recorded one")
            return None
        return content

    def write_compiled(self, content: bytes) -> str:
        """Writes a compiled network, returns its SHA-256 for the record, and deletes the oldest beyond sixteen.

        The hash names the file, so that a process never replaces another's result that differs.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        self._write(f"{sha256}.compiled", content)
        if self._folder is not None:
            try:
                kept = sorted(self._folder.glob("*.compiled"), key=lambda path: path.stat().st_mtime)
                for path in kept[:-_MOST_COMPILED]:
                    path.unlink(missing_ok=True)
            except OSError as error:
                _log.info("the cache of this machine could not be tidied: %s", error.strerror)
        return sha256

    def _write(self, name: str, content: bytes) -> None:
        if self._folder is None:
            return
        try:
            with atomic_write(self._folder / name) as temporary:  # its messages name only the file, which is a hash
                temporary.chmod(0o600)
                temporary.write_bytes(content)
        except ResourceError as error:
            _log.info("nothing is kept for the next start: %s", error)


def _user_cache() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the XDG specification ignores relative paths
        return given
    home = Path.home()
    if not (home.is_absolute() and home.is_dir() and os.environ.get("HOME") != ""):
        raise RuntimeError("the user has no home folder; BEDSIDE_CACHE names another place")  # as for services
    return home / ".cache"


def _reason(error: Exception) -> str:
    """Returns the reason of an error for the log, without any path."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _file_name(key: str, suffix: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + suffix


def _read_own(path: Path, limit: int) -> bytes:
    """Reads a plain file that belongs to this user.

    Raises:
        OSError: the file cannot be read, or is a link.
        ValueError: the file is too large, not a plain file, or could be written by another user.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        trouble = _writable_by_others(status)
        if trouble or not stat.S_ISREG(status.st_mode):
            raise ValueError(trouble or "not a plain file")
        if status.st_size > limit:
            raise ValueError(f"expected at most {limit} bytes, got {status.st_size}")
        content = file.read(limit)
    return content


def _writable_by_others(status: os.stat_result) -> str:
    """Returns why another user could have written a file or folder; empty where none could."""
    if not hasattr(os, "geteuid"):
        return ""  # Windows: the access list of the profile folder keeps other users out
    if status.st_uid != os.geteuid():  # the effective user: under sudo or setuid, the caller's folder is not trusted
        return "it belongs to another user"
    return "others may write to it; run: chmod 700" if status.st_mode & 0o022 else ""
