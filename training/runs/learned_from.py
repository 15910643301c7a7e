"""The data that a network has learned from or was chosen by: its data set, and each scan by its file's content."""

from __future__ import annotations

import msgspec

from ...runtime.bundles.manifest import Manifest
from ...runtime.errors import InputError
from ...runtime.files.atomic import atomic_write
from ...runtime.shortage import raise_shortage
from .run import Run

FILE = "learned_from.json"


class LearnedFrom(msgspec.Struct, frozen=True):
    """The data that a network has learned from; a field that is not recorded is empty.

    Attributes:
        dataset: name of the data set.
        data_hash: SHA-256 over the content of its training and validation cases.
        validation_hash: SHA-256 over the content of its validation cases.
        scans: SHA-256 of the image files of scans that the network has learned from: those of its own training, with
            and without labels, and those from which its teachers and the weights that it started from had learned.
        knows_all: whether ``scans`` has every such scan.
        validation_scans: SHA-256 of the image files of its own training's validation cases, which chose its best epoch;
            None where they are not recorded.
        class_offsets: whether it has class offsets, which were fitted to the validation cases.
    """

    dataset: str = ""
    data_hash: str = ""
    validation_hash: str = ""
    scans: frozenset[str] = frozenset()
    knows_all: bool = False
    validation_scans: frozenset[str] | None = None
    class_offsets: bool = False

    @classmethod
    def of_run(cls, run: Run) -> LearnedFrom:
        """Returns what a run records; a run that predates this knows no single scan.

        Raises:
            InputError: the record, or the facts of the best weights, cannot be read.
        """
        config, offsets = run.config, run.best_weights().has_class_offsets
        recorded = cls(config.dataset, config.data_hash, config.validation_hash, class_offsets=offsets)
        try:
            scans = msgspec.json.decode((run.path / FILE).read_bytes(), type=_Scans)
        except FileNotFoundError:
            return recorded
        except (OSError, msgspec.DecodeError) as error:
            raise_shortage(error, FILE)
            raise InputError(
                f'{FILE} in "{run.name}" cannot be read: {error}; restore it from a backup, or delete it: then no '
                "scan of the training is known"
            ) from None
        return msgspec.structs.replace(
            recorded, scans=scans.sha256, knows_all=scans.complete, validation_scans=scans.validation
        )

    @classmethod
    def of_bundle(cls, manifest: Manifest) -> LearnedFrom:
        """Returns what a bundle records, which is no more than the hash of all cases."""
        return cls(data_hash=manifest.provenance.data_hash)

    def keep(self, run: Run) -> None:
        """Writes the scans into a run directory that has no such record yet.

        Raises:
            OSError: the file cannot be written.
        """
        if not (run.path / FILE).exists():
            with atomic_write(run.path / FILE) as temporary:
                scans = _Scans(self.scans, self.knows_all, self.validation_scans)
                temporary.write_bytes(msgspec.json.encode(scans, order="deterministic"))


class _Scans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record in a run directory: SHA-256 of image files, and whether it names every scan learned from.

    Runs that predate ``validation`` have none.
    """

    sha256: frozenset[str]
    complete: bool
    validation: frozenset[str] | None = None
