"""The journal of an output folder, segment.json: bundle and options of its label maps, and each scan's outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...runtime.errors import InputError, UsageError
from ...runtime.files.hashing import file_sha256
from ...runtime.record import Machine, Outcome, Setup, save_json
from ...runtime.scans.names import JOURNAL_NAME, joined_names, label_map_name, stem
from ...runtime.shortage import raise_shortage
from .folder_scan import FolderScan
from .output import is_damaged, is_own_label_map

_SWITCHED_OFF = {"skip_air": "--no-skip-air", "use_locator": "--no-locator"}  # field → option that makes it false


class LabelMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A label map as bedside wrote it; a person may have changed the file since.

    Attributes:
        input_sha256: SHA-256 of the scan it was made from.
        output_sha256: SHA-256 of the label map.
    """

    input_sha256: str | None
    output_sha256: str


class Journal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `segment.json`; it makes a batch resumable and records its runs.

    Attributes:
        setup: bundle and options, the same for all label maps of the folder.
        machine: machine of the last run.
        threads: CPU threads of the last run; None for all.
        workers: processes of the last run.
        cases: name of the scan (`FolderScan.name`) → outcome of the last run that had it.
        label_maps: name of the label map (`FolderScan.label_map`) → the last that is known to have been written there,
            whatever became of its scan since.
        begun: names of the label maps that the last run had in hand and whose outcome is not known, in order: it may
            have written them before it was interrupted.
    """

    setup: Setup
    machine: Machine
    threads: int | None
    workers: int
    cases: dict[str, Outcome] = {}
    label_maps: dict[str, LabelMap] = {}
    begun: tuple[str, ...] = ()

    def resumed(self, folder: Path, cases: list[FolderScan], force: bool) -> Journal:
        """Returns this journal with what the folder's earlier journal says, whose setup must be the same.

        Args:
            folder: output folder.
            cases: scans of this run.
            force: whether to make the label maps of these scans anew, also with another setup. Outcomes of other scans
                stay if the setup is the same; what the earlier runs wrote stays known in any case.

        Raises:
            UsageError: the folder holds label maps of another setup, or some without a journal.
            InputError: the earlier journal cannot be read.
            ResourceError: memory, file descriptors or the disk failed while it was read.
        """
        path = folder / JOURNAL_NAME
        if not path.exists():
            foreign = [case for case in cases if case.output.exists()]
            if foreign and not force:
                raise UsageError(
                    f'"{folder.name}": {len(foreign)} files named like label maps to come are there, but no '
                    f"{JOURNAL_NAME} that says where from; choose another folder, or replace them (--force)"
                )
            return self
        try:
            earlier = msgspec.json.decode(path.read_bytes(), type=Journal)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
            raise_shortage(error, f"{JOURNAL_NAME} in the output folder")
            if force:
                return self
            raise InputError(
                f"{JOURNAL_NAME} in the output folder cannot be read ({error}); --force begins anew"
            ) from None
        changed = _difference(earlier.setup, self.setup)
        label_maps = {**_written(earlier.cases), **earlier.label_maps}  # earlier versions wrote the outcomes alone
        if changed and not force and (label_maps or earlier.begun):
            raise UsageError(
                f'"{folder.name}" holds label maps made otherwise ({changed}); choose another folder, or make all of '
                "them anew (--force)"
            )
        anew = {case.label_map for case in cases} if force else set[str]()
        kept = {name: outcome for name, outcome in earlier.cases.items() if _label_map_of(name) not in anew}
        return msgspec.structs.replace(self, cases={} if changed else kept, label_maps=label_maps, begun=earlier.begun)

    def unfinished(self, cases: Sequence[FolderScan]) -> list[FolderScan]:
        """Returns the cases that have no label map, or a damaged one.

        A case has its label map where the hashes of label map and scan are those in the journal.

        Raises:
            UsageError: a label map would replace a file that is neither damaged, nor as this scan's earlier run wrote
                it, nor left by an interrupted run.
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
        digest, made = _digest(case.output), self.label_maps.get(case.label_map)
        if digest is None:
            return "cannot be read" if case.output.exists() else ""
        if made is not None and digest == made.output_sha256:
            # a scan that cannot be read will be refused, and its label map stays
            return "" if _digest(case.scan) in (None, made.input_sha256) else "made from another scan"
        if is_damaged(case.output):
            return ""
        if made is not None and case.label_map not in self.begun:
            return "changed since it was made"
        if not is_own_label_map(case.output):
            return "not made by bedside"
        return "" if case.label_map in self.begun else f"not in {JOURNAL_NAME}"

    def beginning(self, cases: Sequence[FolderScan]) -> Journal:
        """Returns the journal of a run that begins to write these label maps; saved before the run writes the first."""
        return msgspec.structs.replace(self, begun=tuple(sorted({*self.begun, *(case.label_map for case in cases)})))

    def interrupted(self, cases: Sequence[FolderScan]) -> Journal:
        """Returns the journal of a run that ends before its time: which label maps it has written is seen now.

        What comes to the place of another before the next run is a person's.

        Args:
            cases: scans of the run.
        """
        not_written = {case.label_map for case in cases if not self._is_unknown(case)}
        return msgspec.structs.replace(self, begun=tuple(name for name in self.begun if name not in not_written))

    def _is_unknown(self, case: FolderScan) -> bool:
        """Whether there is a file other than the label map that is known to have been written there."""
        made = self.label_maps.get(case.label_map)
        return _digest(case.output) not in (None, made and made.output_sha256)

    def with_outcome(self, case: FolderScan, outcome: Outcome) -> Journal:
        """Returns the journal with one more outcome; a failed one leaves the earlier label map known."""
        cases = {case.name: outcome}
        return msgspec.structs.replace(
            self,
            cases=dict(sorted({**self.cases, **cases}.items())),
            label_maps=dict(sorted({**self.label_maps, **_written(cases)}.items())),
            begun=tuple(name for name in self.begun if name != case.label_map),
        )

    def save(self, folder: Path) -> None:
        """Writes `segment.json`, whole or not at all; raises `ResourceError` where that fails."""
        save_json(folder / JOURNAL_NAME, self)


def _written(cases: dict[str, Outcome]) -> dict[str, LabelMap]:
    """Returns the label maps that were written: name of the label map → label map."""
    return {
        _label_map_of(name): LabelMap(input_sha256=outcome.input_sha256, output_sha256=outcome.output_sha256)
        for name, outcome in cases.items()
        if outcome.output_sha256 is not None
    }


def _label_map_of(name: str) -> str:
    """Returns `FolderScan.label_map` of the scan with this `FolderScan.name`."""
    folder, _, file = name.rpartition("/")
    return label_map_name(folder or stem(file))


def _difference(earlier: Setup, now: Setup) -> str:
    """Names the first difference between two setups; empty if there is none."""
    if earlier.bundle_sha256 != now.bundle_sha256:
        return "another bundle"
    if earlier.bedside != now.bedside:
        return f"bedside {earlier.bedside}"
    for name, value in now.options.items():
        if earlier.options.get(name) != value:
            return _made(name, earlier.options.get(name))
    return ""


def _made(field: str, value: Any) -> str:
    """Says how earlier label maps were made, by the command's own options.

    Args:
        field: name of the field of `SegmentJob.for_record`.
        value: its value then.
    """
    if field == "prefer":
        return f"with --use-{value}" if value else "without --use-sform and --use-qform"
    if field == "postprocessing":
        return "with other post-processing"
    if field in _SWITCHED_OFF:
        return f"{'without' if value else 'with'} {_SWITCHED_OFF[field]}"
    option = f"--{field.replace('_', '-')}"
    return f"without {option}" if value is None else f"with {option} {value}"


def _digest(path: Path) -> str | None:
    """Returns the SHA-256 of a file; None where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return None
