"""What was found out and compiled for this machine, kept for the next start in a folder of the user's own.

Nothing of a patient goes there. Records are small JSON, decoded strictly; what an engine compiled is read back only
with the hash that its record tells. What is damaged, foreign or unwritable is done without: losing it costs seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import ResourceError
from ..files.atomic import atomic_write, make_folder
from ..files.turn import in_turn

_log = logging.getLogger("bedside.cache")
_RECORD_LIMIT = 100_000  # bytes; they have a few thousand
_COMPILED_LIMIT = 2**30  # bytes; a few times a student's weights
_MOST_COMPILED = 8  # of all bundles together; the oldest goes first
_PATIENCE = 60.0  # seconds; who measures longer than that is measured beside
_CPU_LINES = ("model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant")

_SHA256 = re.compile("[0-9a-f]{64}")

Record = TypeVar("Record", bound=msgspec.Struct)


class MachineCache:
    """The user's folder of records; without a folder nothing is found and nothing kept.

    Args:
        folder: where the records lie; None for none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @staticmethod
    def of_this_user() -> MachineCache:
        """Returns the cache in ``$BEDSIDE_CACHE``, else ``$XDG_CACHE_HOME/bedside``, else ``~/.cache/bedside``.

        ``BEDSIDE_CACHE=off`` gives one that keeps nothing, and so does a folder that cannot be made or could be written
        to by somebody else; the latter two are logged.
        """
        wanted = os.environ.get("BEDSIDE_CACHE", "")
        if wanted == "off":
            return MachineCache(None)
        try:
            folder = Path(wanted) if wanted else _user_cache() / "bedside"
            make_folder(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            trouble = _not_ours(folder.stat())
        except (OSError, RuntimeError, ResourceError) as error:  # RuntimeError: the user has no home
            trouble, folder = _words(error), None
        if trouble:
            _log.info("working without the cache of this machine: %s", trouble)
            return MachineCache(None)
        return MachineCache(folder)

    def my_turn(self) -> AbstractContextManager[None]:
        """Returns a block that runs when no other process of this user is in one, or after a minute in any case.

        Programs started at the same time would measure each other, and might choose differently.
        """
        return nullcontext() if self._folder is None else in_turn(self._folder / "measuring.lock", _PATIENCE)

    def read(self, key: str, kind: type[Record]) -> Record | None:
        """Returns the record kept under a key; None where there is none, or none that can be trusted (logged)."""
        if self._folder is None:
            return None
        try:
            content = _read_own(self._folder / _file_name(key, ".json"), _RECORD_LIMIT)
            return msgspec.json.decode(content, type=kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            _log.info("a record in the cache of this machine is left aside and made again: %s", _words(error))
            return None

    def write(self, key: str, record: msgspec.Struct) -> None:
        """Keeps a record; where that is impossible, says so in the log."""
        self._write(_file_name(key, ".json"), msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")

    def read_compiled(self, sha256: str) -> bytes | None:
        """Returns what an engine compiled; None where it is not there, or not what the record says (logged)."""
        if self._folder is None or not _SHA256.fullmatch(sha256):
            return None
        try:
            content = _read_own(self._folder / f"{sha256}.compiled", _COMPILED_LIMIT)
        except FileNotFoundError:
            return None  # made room for others
        except (OSError, ValueError) as error:
            _log.info("what was compiled for this machine is left aside: %s", _words(error))
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            _log.info("what was compiled for this machine is left aside: it has another hash")
            return None
        return content

    def write_compiled(self, content: bytes) -> str:
        """Keeps what an engine compiled and returns its SHA-256, for the record; the oldest make room.

        It is kept under that hash: of two processes that compile the same, neither spoils the other's.
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
            with atomic_write(self._folder / name) as temporary:  # its messages name the file: a hash
                temporary.chmod(0o600)
                temporary.write_bytes(content)
        except ResourceError as error:
            _log.info("nothing is kept for the next start: %s", error)


def cpu_identity() -> str:
    """Returns what tells this CPU's kind from another's: model and instruction sets, as far as the system says."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join([platform.machine(), *(line for line in first.splitlines() if line.startswith(_CPU_LINES))])


def _user_cache() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the XDG specification ignores relative paths
        return given
    home = Path.home()
    if not (home.is_absolute() and home.is_dir() and os.environ.get("HOME") != ""):
        raise RuntimeError("the user has no home folder; BEDSIDE_CACHE names another place")  # services have none
    return home / ".cache"


def _words(error: Exception) -> str:
    """Returns a reason for the log, where no path may stand."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _file_name(key: str, suffix: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + suffix


def _read_own(path: Path, limit: int) -> bytes:
    """Reads a plain file of this user's own.

    Raises:
        OSError: it cannot be read, or is a link.
        ValueError: it is not what this program writes.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        trouble = _not_ours(status)
        if trouble or not stat.S_ISREG(status.st_mode):
            raise ValueError(trouble or "not a plain file")
        if status.st_size > limit:
            raise ValueError(f"expected at most {limit} bytes, got {status.st_size}")
        content = file.read(limit)
    return content


def _not_ours(status: os.stat_result) -> str:
    """Says why somebody else could have put it there; empty where nobody could."""
    if not hasattr(os, "geteuid"):
        return ""  # Windows: the profile's folder is the user's by its access list
    if status.st_uid != os.geteuid():  # whom we act for: a caller's folder is not trusted with another's rights
        return "it belongs to another user"
    return "others may write to it; run: chmod 700" if status.st_mode & 0o022 else ""
