"""What storescp has written for one association, on its way into the queue."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom

from ...runtime.errors import ResourceError
from ...runtime.log import log_failure
from ...runtime.shortage import raise_shortage
from .accepted import instance_name
from .queue import Queue
from .storescp_program import was_released

_log = logging.getLogger("bedside.node")

_LOCK = "lock"


def made_folder(incoming: Path, name: str) -> tuple[Path, int]:
    """Makes the folder of an association; returns it and the descriptor of its lock.

    storescp inherits the descriptor, so that the lock lasts as long as the process; the file holds the process' id.
    """
    folder = incoming / name
    (folder / "files").mkdir(parents=True)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def has_writer(folder: Path) -> bool:
    """Whether a storescp still runs that writes here, also one that an earlier run of the node started."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


class Incoming:
    """The files of one association; storescp writes them one after another, each under a name of its own.

    Args:
        folder: folder of the association.
        queue: where instances go.
        quiet_after_abort_seconds: how long its series wait for more where the association broke.
    """

    def __init__(self, folder: Path, queue: Queue, quiet_after_abort_seconds: float) -> None:
        self._folder = folder
        self._queue = queue
        self._quiet_after_abort_seconds = quiet_after_abort_seconds

    def take(self) -> bool:
        """Puts what storescp has acknowledged into the queue; returns whether the association has ended.

        Raises:
            ResourceError, OSError, MemoryError: the disk does not take it, memory is short, or storescp ends just now;
                the files stay, and the next call tries again.
        """
        if has_writer(self._folder):
            for file in self._closed():
                self._put(file)
            return False
        released = was_released(self._folder)
        for file in files_by_time(self._folder) if released else self._all_but_cut_off():
            self._put(file)
        self._queue.ended(self._folder.name, None if released else self._quiet_after_abort_seconds)
        shutil.rmtree(self._folder)
        return True

    def _closed(self) -> list[Path]:
        """The files that storescp writes no more: it opens each once, and acknowledges it after it has closed it."""
        files = files_by_time(self._folder)  # listed first: each has been opened before the look at what is open
        lock = self._folder / _LOCK
        process = int(lock.read_text() or 0)
        opened = _open_files(process)
        if _identity(lock.stat()) not in _open_files(process):  # killed, perhaps within a file that counts as closed
            raise ProcessLookupError("storescp ends")
        return [file for file in files if _identity(file.stat()) not in opened]

    def _all_but_cut_off(self) -> list[Path]:
        """All files; the last one only if it is whole, because storescp may have been killed within it."""
        files = files_by_time(self._folder)
        if files and not is_whole(files[-1]):
            _log.warning("an instance was left out: storescp ended before it was complete")
            files.pop().unlink()
        return files

    def _put(self, file: Path) -> None:
        content = file.read_bytes()
        try:
            name = instance_name(content)
        except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
            raise_shortage(error, "an instance")
            _log.warning("an instance was left out: it cannot be understood (%s)", type(error).__name__)
            log_failure("reading failed", error)
            name = None
        else:
            if name is None:
                _log.warning("an instance was left out: its identifiers are missing")
        if name is not None:
            self._queue.put(name, content, acknowledged=True, sender=self._folder.name)
        file.unlink()


def files_by_time(folder: Path) -> list[Path]:
    """Returns the files of an association, the one that was written last at the end."""
    files = folder / "files"
    return sorted(files.iterdir(), key=lambda file: (_time_written(file), file)) if files.is_dir() else []


def _time_written(file: Path) -> int:
    return file.stat().st_mtime_ns


def _open_files(process: int) -> set[tuple[int, int]]:
    """Returns what tells the files apart that a process has open; nothing where it has ended."""
    found: set[tuple[int, int]] = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                found.add(_identity(descriptor.stat()))
    return found


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def is_whole(file: Path) -> bool:
    """Whether an image is there up to the end of its pixels.

    Raises:
        ResourceError: that cannot be told now, because memory is short or the disk fails.
    """
    try:
        made = pydicom.dcmread(BytesIO(file.read_bytes()))
        if made.file_meta.TransferSyntaxUID.is_compressed:
            return bool(made["PixelData"].value)
        bits = int(made.Rows) * int(made.Columns) * int(made.get("NumberOfFrames") or 1) * int(made.BitsAllocated)
        return len(made["PixelData"].value) >= bits * int(made.get("SamplesPerPixel") or 1) // 8
    except OSError as error:
        raise ResourceError(f"an instance cannot be read back ({error.strerror or type(error).__name__})") from None
    except Exception as error:  # pydicom raises whatever a damaged element causes
        raise_shortage(error, "an instance")
        log_failure("an instance is not whole", error)
        return False
