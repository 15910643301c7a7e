"""What storescp has written for one association, on its way into the queue."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from io import BytesIO
from pathlib import Path

import pydicom

from ...runtime.errors import ResourceError
from ...runtime.log import log_failure
from .accepted import instance_name
from .queue import Queue
from .storescp_program import was_released

_log = logging.getLogger("bedside.node")

_LOCK = "lock"


def made_folder(incoming: Path, name: str) -> tuple[Path, int]:
    """Makes the folder of an association; returns it and the descriptor of its lock, which storescp inherits."""
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
        quiet_after_abort_seconds: how long the last series waits for more where the association broke.
    """

    def __init__(self, folder: Path, queue: Queue, quiet_after_abort_seconds: float) -> None:
        self._folder = folder
        self._queue = queue
        self._quiet_after_abort_seconds = quiet_after_abort_seconds
        self._last_series: str | None = None

    def take(self) -> bool:
        """Puts what is complete into the queue; returns whether the association has ended and nothing is left.

        Raises:
            ResourceError, OSError: the disk does not take it; the files stay, and the next call tries again.
        """
        is_being_written = has_writer(self._folder)  # before the list: of an ended one, the list is whole
        for file in self._complete() if is_being_written else self._all():
            self._put(file)
        if is_being_written:
            return False
        if self._last_series is not None and not was_released(self._folder):
            self._queue.expect_more(self._last_series, self._quiet_after_abort_seconds)
        shutil.rmtree(self._folder)
        return True

    def _all(self) -> list[Path]:
        """All files; the last one only if it is whole, because storescp may have been killed within it."""
        files = files_by_time(self._folder)
        if files and not is_whole(files[-1]):
            _log.warning("an instance was left out: storescp ended before it was complete")
            files.pop().unlink()
        return files

    def _complete(self) -> list[Path]:
        """The files before the last one, which storescp may still write."""
        files = files_by_time(self._folder)
        return [file for file in files if _time_written(file) < _time_written(files[-1])]

    def _put(self, file: Path) -> None:
        content = file.read_bytes()
        try:
            name = instance_name(content)
        except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
            _log.warning("an instance was left out: it cannot be understood (%s)", type(error).__name__)
            log_failure("reading failed", error)
            name = None
        else:
            if name is None:
                _log.warning("an instance was left out: its identifiers are missing")
        if name is not None:
            self._last_series = self._queue.put(name, content, acknowledged=True)
        file.unlink()


def files_by_time(folder: Path) -> list[Path]:
    """Returns the files of an association, the one that was written last at the end."""
    files = folder / "files"
    return sorted(files.iterdir(), key=lambda file: (_time_written(file), file)) if files.is_dir() else []


def _time_written(file: Path) -> int:
    return file.stat().st_mtime_ns


def is_whole(file: Path) -> bool:
    """Whether an image is there up to the end of its pixels."""
    try:
        made = pydicom.dcmread(BytesIO(file.read_bytes()))
        if made.file_meta.TransferSyntaxUID.is_compressed:
            return bool(made["PixelData"].value)
        bits = int(made.Rows) * int(made.Columns) * int(made.get("NumberOfFrames") or 1) * int(made.BitsAllocated)
        return len(made["PixelData"].value) >= bits * int(made.get("SamplesPerPixel") or 1) // 8
    except OSError as error:
        raise ResourceError(f"an instance cannot be read back ({error.strerror or type(error).__name__})") from None
    except Exception as error:  # pydicom raises whatever a damaged element causes
        log_failure("an instance is not whole", error)
        return False
