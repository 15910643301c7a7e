"""The journal of an output folder, segment.json: bundle and options of its label maps, and each scan's outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...runtime.errors import InputError, UsageError
from ...runtime.files.hashing import file_sha256
from ...runtime.record import Machine, Outcome, Setup, save_json
from ...runtime.scans.names import JOURNAL_NAME, joined_names
from ...runtime.shortage import raise_shortage
from .folder_scan import FolderScan
from .output import is_damaged, is_own_label_map


class Journal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `segment.json`; it makes a batch resumable and records its runs.

    Attributes:
        setup: bundle and options, the same for all label maps of the folder.
        machine: machine of the last run.
        threads: CPU threads of the last run; None for all.
        workers: processes of the last run.
        cases: name of the scan (`FolderScan.name`) → outcome.
    """

    setup: Setup
    machine: Machine
    threads: int | None
    workers: int
    cases: dict[str, Outcome] = {}

    def resumed(self, folder: Path, cases: list[FolderScan], force: bool) -> Journal:
        """Returns this journal with the outcomes of the folder's earlier journal, whose setup must be the same.

        Args:
            folder: output folder.
            cases: scans of this run.
            force: whether to ignore the earlier journal.

        Raises:
            UsageError: the folder holds label maps of another setup, or some without a journal.
            InputError: the earlier journal cannot be read.
        """
        path = folder / JOURNAL_NAME
        if force:
            return self
        if not path.exists():
            foreign = [case for case in cases if case.output.exists()]
            if foreign:
                raise UsageError(
                    f'"{folder.name}": {len(foreign)} files named like label maps to come are there, but no '
                    f"{JOURNAL_NAME} that says where from; choose another folder, or replace them (--force)"
                )
            return self
        try:
            earlier = msgspec.json.decode(path.read_bytes(), type=Journal)
        except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
            raise_shortage(error, f"{JOURNAL_NAME} in the output folder")
            raise InputError(
                f"{JOURNAL_NAME} in the output folder cannot be read ({error}); --force begins anew"
            ) from None
        changed = _difference(earlier.setup, self.setup)
        if changed:
            raise UsageError(
                f'"{folder.name}" holds label maps made otherwise ({changed}); choose another folder, or make all of '
                "them anew (--force)"
            )
        return msgspec.structs.replace(self, cases=earlier.cases)

    def unfinished(self, cases: Sequence[FolderScan]) -> list[FolderScan]:
        """Returns the cases that have no label map, or a damaged one.

        A case has its label map where the hashes of label map and scan are those in the journal.

        Raises:
            UsageError: a label map would replace a file that is neither damaged nor left by an interrupted run.
        """
        todo = [case for case in cases if not self._finished(case)]
        kept = [f"{case.output.name} ({reason})" for case in todo if (reason := self._reason_to_keep(case))]
        if kept:
            raise UsageError(
                f'"{todo[0].output.parent.name}": label maps to come would replace {joined_names(kept)}; move what is '
                "there away, choose another folder, or make all of them anew (--force)"
            )
        return todo

    def _finished(self, case: FolderScan) -> bool:
        outcome = self.cases.get(case.name)
        if outcome is None or outcome.output_sha256 is None:
            return False
        return _digest(case.output) == outcome.output_sha256 and _digest(case.scan) == outcome.input_sha256

    def _reason_to_keep(self, case: FolderScan) -> str:
        """Says why the file at the place of an unfinished case's label map stays; empty where it may be replaced."""
        digest, outcome = _digest(case.output), self.cases.get(case.name)
        made = None if outcome is None else outcome.output_sha256
        if digest is None:
            return "cannot be read" if case.output.exists() else ""
        if digest == made:  # a scan that cannot be read will be refused, and its label map stays
            return "" if _digest(case.scan) is None else "made from another scan"
        if any(digest == other.output_sha256 for other in self.cases.values()):
            return "made from another scan"
        if is_damaged(case.output):
            return ""
        if made is not None:
            return "changed since it was made"
        return "" if is_own_label_map(case.output) else "not made by bedside"

    def with_outcome(self, case: FolderScan, outcome: Outcome) -> Journal:
        """Returns the journal with one more outcome."""
        cases = dict(sorted({**self.cases, case.name: outcome}.items()))
        return msgspec.structs.replace(self, cases=cases)

    def save(self, folder: Path) -> None:
        """Writes `segment.json`, whole or not at all; raises `ResourceError` where that fails."""
        save_json(folder / JOURNAL_NAME, self)


def _difference(earlier: Setup, now: Setup) -> str:
    """Names the first difference between two setups; empty if there is none."""
    if earlier.bundle_sha256 != now.bundle_sha256:
        return "another bundle"
    if earlier.bedside != now.bedside:
        return f"bedside {earlier.bedside}"
    for name, value in now.options.items():
        if earlier.options.get(name) != value:
            return f"{name} {earlier.options.get(name)}"
    return ""


def _digest(path: Path) -> str | None:
    """Returns the SHA-256 of a file; None where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return None
