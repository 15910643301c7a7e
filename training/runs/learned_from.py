"""The data that a network has learned from or was chosen by: its data set, and each scan by its file's content."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ...runtime.bundles.bundle import Bundle
from ...runtime.bundles.manifest import LEARNED_FROM_NAME
from ...runtime.errors import BundleError, InputError
from ...runtime.files.atomic import atomic_write
from ...runtime.shortage import raise_shortage
from .run import Run
from .run_or_bundle import is_bundle

_NO_RECORD = (msgspec.DecodeError, RecursionError)  # of a file that holds something else


class LearnedFrom(msgspec.Struct, frozen=True):
    """The data that a network has learned from; a field that is not recorded is empty.

    Attributes:
        dataset: name of the data set.
        data_hash: SHA-256 over the content of its training and validation cases.
        validation_hash: SHA-256 over the content of its validation cases.
        scans: SHA-256 of the image files of scans that the network has learned from: those of its own training, with
            and without labels, and those from which its teachers and the weights that it started from had learned.
        validation_scans: SHA-256 of the image files of validation scans, which chose its best epoch: those of its own
            training, and those of its teachers and of the weights that it started from.
        knows_all: whether ``scans`` and ``validation_scans`` have every such scan.
        class_offsets: whether it has class offsets, which were fitted to the validation cases.
    """

    dataset: str = ""
    data_hash: str = ""
    validation_hash: str = ""
    scans: frozenset[str] = frozenset()
    validation_scans: frozenset[str] = frozenset()
    knows_all: bool = False
    class_offsets: bool = False

    @classmethod
    def of(cls, path: Path) -> LearnedFrom:
        """Returns what a run directory or a bundle records.

        Raises:
            InputError: it is neither, or a record of the run cannot be read.
            BundleError: the bundle was altered.
            ResourceError: memory, file descriptors or disk space do not suffice.
        """
        if not is_bundle(path):
            return cls.of_run(Run.open(path))
        with Bundle.open(path) as bundle:
            return cls.of_bundle(bundle)

    @classmethod
    def of_run(cls, run: Run) -> LearnedFrom:
        """Returns what a run records.

        Raises:
            InputError: the record, or the facts of the best weights, cannot be read.
        """
        config, offsets = run.config, run.best_weights().has_class_offsets
        recorded = cls(config.dataset, config.data_hash, config.validation_hash, class_offsets=offsets)
        try:
            return recorded._with_scans((run.path / LEARNED_FROM_NAME).read_bytes())
        except FileNotFoundError:
            return recorded
        except (OSError, *_NO_RECORD) as error:
            raise_shortage(error, LEARNED_FROM_NAME)
            raise InputError(
                f'{LEARNED_FROM_NAME} in "{run.name}" cannot be read: {error}; restore it from a backup, or delete '
                "it: then no scan of the training is known"
            ) from None

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> LearnedFrom:
        """Returns what a bundle records; one without the scans' hashes knows the hash over the data set's cases alone.

        Raises:
            BundleError: the record is not valid, or was changed since the bundle was opened.
            ResourceError: the record cannot be read for want of memory or file descriptors.
        """
        recorded = cls(data_hash=bundle.manifest.provenance.data_hash)
        if not bundle.manifest.records_scans:
            return recorded
        try:
            return recorded._with_scans(bundle.read(LEARNED_FROM_NAME))
        except _NO_RECORD as error:
            raise BundleError(f"{LEARNED_FROM_NAME} is not valid: {error}; export the bundle again") from None

    @property
    def names_scans(self) -> bool:
        """Whether any scan is recorded."""
        return bool(self.scans or self.validation_scans)

    def joined(self, other: LearnedFrom) -> LearnedFrom:
        """Returns the scans of both networks, with all other facts of this one."""
        return msgspec.structs.replace(
            self,
            scans=self.scans | other.scans,
            validation_scans=self.validation_scans | other.validation_scans,
            knows_all=self.knows_all and other.knows_all,
        )

    def keep(self, run: Run) -> None:
        """Writes the scans into a run directory that has no such record yet.

        Raises:
            OSError: the file cannot be written.
        """
        if not (run.path / LEARNED_FROM_NAME).exists():
            self.save(run.path)

    def save(self, folder: Path) -> None:
        """Writes the scans into a folder.

        Raises:
            OSError: the file cannot be written.
        """
        scans = _Scans(self.scans, self.knows_all, self.validation_scans)
        with atomic_write(folder / LEARNED_FROM_NAME) as temporary:
            temporary.write_bytes(msgspec.json.encode(scans, order="deterministic"))

    def _with_scans(self, record: bytes) -> LearnedFrom:
        scans = msgspec.json.decode(record, type=_Scans)
        return msgspec.structs.replace(
            self,
            scans=scans.sha256,
            validation_scans=scans.validation or frozenset(),
            knows_all=scans.complete and scans.validation is not None,
        )


class _Scans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record: SHA-256 of image files, and whether it names every scan learned from.

    Runs that predate ``validation`` have none.
    """

    sha256: frozenset[str]
    complete: bool
    validation: frozenset[str] | None = None
