"""The folder of prepared cases, keyed by content, so that all runs on the same scans and task share them."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import msgspec

from ...runtime.errors import InputError, ResourceError, UsageError
from ...runtime.files.atomic import atomic_directory, atomic_write, make_folder
from ...runtime.files.lock import Lock
from ...runtime.files.lock_file import lock_file
from ...runtime.task import Task
from .case_digest import CaseDigest
from .cases_in_use import TAG, touch
from .dataset import Case
from .load_case import load_case
from .prepared_case import PreparedCase, write_arrays

_log = logging.getLogger("bedside.training")

CASES_FOLDER = "bedside-cases"
PREPARATION_VERSION = 3  # increment when the same file and task give different arrays
_KEY_DIGITS = 32
_NOTES = {
    # This tag marks the folder as a cache of bedside; backup programs recognise it too (bford.info/cachedir).
    TAG: "Signature: 8a477f597d28d172789f06886806bc55\n# Prepared cases of bedside; see README.txt.\n",
    "README.txt": (
        "Preprocessed training cases of bedside, one folder each, named by the content of scan, label map and task.\n"
        "They hold patient data: treat this folder like the scans themselves.\n"
        "Clear it with `bedside dataset prepared FOLDER --clear`; what is needed is prepared again.\n"
    ),
    ".gitignore": "*\n",
}


class CaseCache:
    """A folder of prepared cases that several runs and processes may share.

    A case is a folder ``<key>`` with ``image.npy``, ``labels.npy`` (unless the case has no labels), ``centres.npy``,
    ``case.json``, and a folder of soft labels for each teacher that segmented it. The key is a
    hash of the files' bytes, of the task's fields that affect preprocessing, and of `PREPARATION_VERSION`. A changed
    file, spacing or clip range gives another key, so a stored case is never outdated, only unused.

    Args:
        folder: folder of prepared cases; created if needed.

    Raises:
        UsageError: the folder holds other files.
        ResourceError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        visible = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
        # Checked after the listing: another process may be creating the same folder now, and writes the tag first.
        if visible and not (folder / TAG).is_file():
            raise UsageError(
                f'"{folder.name}" holds other files (such as "{sorted(visible)[0]}"); '
                "choose a new folder for prepared cases"
            )
        self.folder = folder
        for name, text in _NOTES.items():
            if not (folder / name).is_file():
                with atomic_write(folder / name) as temporary:
                    temporary.write_text(text, encoding="ascii")

    def obtain(self, case: Case, digest: CaseDigest, task: Task, *, needs_label: bool = True) -> PreparedCase | None:
        """Returns a prepared case, preparing it if missing or damaged; None while another process prepares it.

        Args:
            case: the case.
            digest: digest of its files.
            task: grid and intensities.
            needs_label: whether a case without a label map is refused.

        Raises:
            InputError: the case cannot be used; the message names it and every reason.
            ResourceError: the case does not fit into memory, or the folder cannot be written.
        """
        if needs_label and case.label is None:
            raise InputError(f'case "{case.name}": expected a label map, the data set lists none')
        folder = self.folder / case_key(digest, task)
        stored = self._open(folder, case)
        if stored is not None:
            touch(folder)
            return stored
        with lock_file(folder.with_name(f"{folder.name}.lock")) as locked:
            if locked.lock is Lock.HELD_BY_OTHER:
                return None
            if locked.lock is Lock.UNSUPPORTED:  # the folder of the process that ends last stays
                _log.info("the folder of prepared cases has no locks: processes may prepare the same case twice")
            return self._open(folder, case) or self._prepare(case, digest, task, folder)

    @staticmethod
    def _open(folder: Path, case: Case) -> PreparedCase | None:
        if not folder.is_dir():
            return None
        try:
            return PreparedCase.open(folder, case.name, case.image)
        except InputError as error:
            _log.warning("%s: it is prepared again", str(error).rpartition(";")[0])
            return None

    def _prepare(self, case: Case, digest: CaseDigest, task: Task, folder: Path) -> PreparedCase:
        try:
            with atomic_directory(folder) as temporary:
                _write_case(case, task, temporary)
                digest.check_unchanged(case)
                # On a file system without locks another process may have finished first, and its folder be in use.
                if self._open(folder, case) is not None:
                    raise _OvertakenError
        except (ResourceError, _OvertakenError):
            stored = self._open(folder, case)
            if stored is None:
                raise
            return stored
        return PreparedCase.open(folder, case.name, case.image)


class _OvertakenError(Exception):
    """Another process has prepared the case first."""


def case_key(digest: CaseDigest, task: Task) -> str:
    """Returns the key of a prepared case, the name of its folder: 32 hexadecimal digits."""
    decisive = {
        "version": PREPARATION_VERSION,
        "image": digest.image,
        "label": digest.label,
        "classes": task.num_classes,
        **({} if digest.ignore is None else {"ignore": digest.ignore}),
        **task.preparation,
    }
    return hashlib.sha256(msgspec.json.encode(decisive, order="sorted")).hexdigest()[:_KEY_DIGITS]


def is_case_cache(folder: Path) -> bool:
    """Returns whether a folder is a cache of prepared cases, not of another program."""
    tag = folder / TAG
    return tag.is_file() and tag.read_text(encoding="ascii", errors="replace") == _NOTES[TAG]


def _write_case(case: Case, task: Task, folder: Path) -> None:
    loaded = load_case(case, task.num_classes, task, needs_label=False)
    model_input, labels = loaded.model_input, loaded.labels
    if model_input is None or (labels is None and case.label is not None) or loaded.problems:
        raise InputError(f'case "{case.name}": {"; ".join(loaded.problems)}')
    del loaded  # frees the scan as stored: the arrays below need the memory
    write_arrays(
        folder,
        model_input.array,
        labels,
        model_input.body,
        model_input.grid.spacing,
        model_input.warnings,
        task.name,
        has_ignored=case.ignore is not None,
    )
