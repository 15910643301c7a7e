"""One series in the queue: its folder, the instances that arrived, and the journal of what became of them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ...runtime.errors import ResourceError
from ...runtime.files.atomic import atomic_write, make_folder
from .outcome import Outcome, State

INSTANCE_SUFFIX = ".dcm"
_JOURNAL_SUFFIX = ".json"


@dataclass
class SeriesFolder:
    """A folder with ``instances/`` and ``results/``; the queue's lock guards the fields.

    Attributes:
        folder: the folder; its name is the series' key.
        instances: names of the instances' files.
        outcomes: digest → entry of the journal.
        changed: when an instance arrived last, in seconds of the monotonic clock.
        quiet_seconds: how long it has to be quiet from then on.
        senders: names of the open associations that sent some of it.
        retry_at: before this second of the monotonic clock it is left alone.
        writing: how many instances are being written now.
        size: bytes of the instances.
    """

    folder: Path
    instances: set[str] = field(default_factory=set[str])
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    changed: float = 0.0
    quiet_seconds: float = 0.0
    senders: set[str] = field(default_factory=set[str])
    retry_at: float = 0.0
    writing: int = 0
    size: int = 0
    _digest: tuple[int, str] = (-1, "")

    @classmethod
    def read(cls, folder: Path) -> SeriesFolder:
        """Reads what the disk holds of a series; an entry of the journal that cannot be read counts as not there."""
        series = cls(folder)
        for file in sorted(series.instance_folder.glob(f"*{INSTANCE_SUFFIX}")):
            if not file.name.startswith("."):
                series.instances.add(file.name)
                series.size += file.stat().st_size
        for file in sorted(series.result_folder.glob(f"*{_JOURNAL_SUFFIX}")):
            if file.name.startswith("."):
                continue
            try:
                outcome = msgspec.json.decode(file.read_bytes(), type=Outcome)
            except (msgspec.MsgspecError, OSError):  # the work is done again, and gives the same UIDs
                continue
            series.outcomes[outcome.digest] = outcome
        return series

    @property
    def key(self) -> str:
        """The series' key."""
        return self.folder.name

    @property
    def instance_folder(self) -> Path:
        """Where the instances lie."""
        return self.folder / "instances"

    @property
    def result_folder(self) -> Path:
        """Where results and the journal lie."""
        return self.folder / "results"

    @property
    def digest(self) -> str:
        """Hash of the set of instances that arrived."""
        count = len(self.instances)  # none is ever taken away
        if self._digest[0] != count:
            self._digest = count, hashlib.sha256("\n".join(sorted(self.instances)).encode()).hexdigest()[:32]
        return self._digest[1]

    @property
    def outcome(self) -> Outcome | None:
        """The entry for the instances that are there now; None where there is none."""
        return self.outcomes.get(self.digest)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do for the instances that are there."""
        outcome = self.outcome
        return outcome is not None and outcome.is_final and not outcome.pending

    def files(self) -> list[Path]:
        """Returns the instances' files, in the order of their names."""
        return [self.instance_folder / name for name in sorted(self.instances)]

    def make_folders(self, queue: Path) -> None:
        """Makes its folders below that of the queue, and syncs every parent that got a new entry."""
        for folder in (self.instance_folder, self.result_folder):
            if folder.is_dir():
                continue
            make_folder(folder)
            for parent in folder.parents:
                descriptor = os.open(parent, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                if parent == queue:
                    break

    def record(self, outcome: Outcome) -> None:
        """Writes an entry of the journal; raises `ResourceError` where the disk does not take it."""
        with atomic_write(self.result_folder / f"{outcome.digest}{_JOURNAL_SUFFIX}") as temporary:
            temporary.write_bytes(msgspec.json.encode(outcome))
        self.outcomes[outcome.digest] = outcome

    def forget(self) -> None:
        """Takes the entry for the instances that are there back, so that they are worked on again.

        Raises:
            ResourceError: the disk does not allow it.
        """
        try:
            (self.result_folder / f"{self.digest}{_JOURNAL_SUFFIX}").unlink(missing_ok=True)
        except OSError as error:
            raise ResourceError(f"the queue cannot be written ({error.strerror or error})") from None
        self.outcomes.pop(self.digest, None)

    def is_due(self, now: float, open_seconds: float) -> bool:
        """Whether it is complete by its quiet time, and not worked on yet.

        Args:
            now: second of the monotonic clock.
            open_seconds: quiet time at least while an association is open that sent some of it.
        """
        quiet_seconds = max(self.quiet_seconds, open_seconds) if self.senders else self.quiet_seconds
        if self.writing or not self.instances or now < max(self.retry_at, self.changed + quiet_seconds):
            return False
        outcome = self.outcome
        return outcome is None or outcome.state is State.STARTED
