"""A folder of prepared cases as a whole: what lies there, and clearing what no training uses."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import InputError, ResourceError
from ...runtime.files.leftovers import remove_leftovers, temporary_name
from ...runtime.files.lock import Lock
from .case_cache import CASES_FOLDER, is_case_folder
from .case_use import keys_in_use, registration_lock
from .prepared_case import PreparedCase

_KEY = re.compile(r"[0-9a-f]{32}")
_DAY = 86_400.0


@dataclass(frozen=True)
class StoredCase:
    """A prepared case as it lies on the disk.

    Attributes:
        key: its folder's name.
        task: name of the task it was first prepared for; empty where that is not known.
        spacing: of its grid, (x, y, z) in mm; None where the case is damaged.
        size: bytes on the disk.
        used: when a training last opened or closed it, in seconds since 1970.
        in_use: whether one uses it now.
    """

    key: str
    task: str
    spacing: tuple[float, float, float] | None
    size: int
    used: float
    in_use: bool

    def unused_for(self, days: float) -> bool:
        """Returns whether no training has used it for so many days."""
        return not self.in_use and time.time() - self.used >= days * _DAY


class PreparedFolder:
    """A folder of prepared cases.

    Args:
        path: the folder, or the one in which it lies as `CASES_FOLDER`.

    Raises:
        InputError: there is none.
    """

    def __init__(self, path: Path) -> None:
        found = next((folder for folder in (path, path / CASES_FOLDER) if is_case_folder(folder)), None)
        if found is None:
            raise InputError(
                f'expected a folder of prepared cases, or one that holds "{CASES_FOLDER}", '
                f'got "{path.resolve().name}"; '
                "give the folder in which the run directories lie, or what --cases named"
            )
        self.path = found

    def cases(self) -> list[StoredCase]:
        """Returns what lies there, by task and key."""
        with registration_lock(self.path):
            return self._cases()

    def clear(self, unused_for: float = 0.0) -> list[StoredCase]:
        """Removes the cases that no training uses and returns them.

        Which ones those are is settled, and the cases renamed, while no training can tell what it is about to use: one
        that starts later finds them gone and prepares them again. An array that a process has mapped stays readable.

        Args:
            unused_for: days since a training last used them.

        Raises:
            ResourceError: the file system has no locks, so that nobody can tell what is in use; or a case cannot be
                removed.
        """
        remove_leftovers(self.path)
        aside: list[Path] = []
        try:
            with registration_lock(self.path) as lock:
                if lock is not Lock.OURS:
                    raise ResourceError(
                        f'"{self.path.name}": this file system has no locks, so that trainings which use it cannot be '
                        "told; when none runs, delete the folder"
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
    except InputError:  # damaged: listed, so that it can be cleared
        task, spacing = "", None
    size = sum(file.stat().st_size for file in folder.iterdir())
    return StoredCase(folder.name, task, spacing, size, folder.stat().st_mtime, folder.name in used)
