"""Lists the prepared cases of a folder and clears those that no training uses."""

from __future__ import annotations

import re
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import InputError, ResourceError
from ...runtime.files.lock import Lock
from ...runtime.files.temporaries import remove_leftovers, temporary_name
from .case_cache import CASES_FOLDER, is_case_cache
from .cases_in_use import keys_in_use, registration_lock
from .prepared_case import PreparedCase

_KEY = re.compile(r"[0-9a-f]{32}")
_DAY = 86_400.0


@dataclass(frozen=True)
class StoredCase:
    """A prepared case on disk.

    Attributes:
        key: key of the case, the name of its folder.
        task: name of the task it was first prepared for; empty if unknown.
        spacing: (x, y, z) of its grid in mm; None if the case is damaged.
        size: bytes on disk.
        used: time at which a training last opened or closed it, in seconds since 1970.
        in_use: whether a training uses it now.
    """

    key: str
    task: str
    spacing: tuple[float, float, float] | None
    size: int
    used: float
    in_use: bool

    def unused_for(self, days: float) -> bool:
        """Returns whether no training has used it for a number of days."""
        return not self.in_use and time.time() - self.used >= days * _DAY


class PreparedFolder:
    """A folder of prepared cases.

    Args:
        path: the folder of prepared cases, or a folder that contains it under the name `CASES_FOLDER`.

    Raises:
        InputError: neither is a folder of prepared cases.
    """

    def __init__(self, path: Path) -> None:
        found = next((folder for folder in (path, path / CASES_FOLDER) if is_case_cache(folder)), None)
        if found is None:
            raise InputError(
                f'expected a folder of prepared cases, or one that contains "{CASES_FOLDER}", '
                f'got "{path.resolve().name}"; '
                "give the folder that contains the run directories, or the folder given to --cases"
            )
        self.path = found

    def cases(self) -> list[StoredCase]:
        """Returns the cases in the folder, sorted by task and key.

        Raises:
            ResourceError: the list of cases that a training uses cannot be read.
        """
        with registration_lock(self.path):
            return self._cases()

    def clear(self, unused_for: float = 0.0) -> list[StoredCase]:
        """Removes the cases that no training uses and returns them.

        The unused cases are found and renamed under the `registration_lock`, so that no training can register them
        meanwhile: one that starts later prepares them again. An array that a process has mapped stays readable.

        Args:
            unused_for: minimum number of days since a training last used a case.

        Raises:
            ResourceError: the file system has no locks, so that cases in use cannot be detected; or a case cannot be
                removed.
        """
        remove_leftovers(self.path)
        aside: list[Path] = []
        try:
            with registration_lock(self.path) as lock:
                if lock is not Lock.ACQUIRED:
                    raise ResourceError(
                        f'"{self.path.name}": this file system has no locks, so trainings that use the folder '
                        "cannot be detected; when none runs, delete it"
                    )
                cleared = [case for case in self._cases() if case.unused_for(unused_for)]
                for case in cleared:
                    aside.append(self.path / temporary_name(".cleared"))
                    (self.path / case.key).rename(aside[-1])
            for folder in aside:
                shutil.rmtree(folder)
        except OSError as error:
            raise ResourceError(
                f'"{self.path.name}": a case cannot be removed ({error.strerror}); check the permissions'
            ) from error
        return cleared

    def _cases(self) -> list[StoredCase]:
        used = keys_in_use(self.path)
        found = [
            _stored(folder, used) for folder in self.path.iterdir() if _KEY.fullmatch(folder.name) and folder.is_dir()
        ]
        return sorted(found, key=lambda case: (case.task, case.key))


def _stored(folder: Path, used: set[str]) -> StoredCase:
    try:
        case = PreparedCase.open(folder)
        task, spacing = case.task, case.spacing
    except InputError:  # a damaged case is listed, so that it can be cleared
        task, spacing = "", None
    size = sum(_size(file) for file in folder.rglob("*"))
    return StoredCase(folder.name, task, spacing, size, folder.stat().st_mtime, folder.name in used)


def _size(path: Path) -> int:
    """Returns a file's bytes; 0 of a folder, and of a file that a training has removed since it was found."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
