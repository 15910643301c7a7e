"""Warns of scans that a training learns from, or is chosen by, and that its validation or test list scores as well."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from ...runtime.engines import default_threads
from ...runtime.errors import InputError, ResourceError
from ...runtime.scans.names import joined_names
from .case_digest import CaseDigest, hash_images, possible_copies
from .dataset import Case, Dataset

_log = logging.getLogger("bedside.training")

_Hashed = Sequence[tuple[Case, CaseDigest]]


def warn_of_seen_scans(dataset: Dataset, listed: _Hashed, unlabelled: _Hashed, earlier: frozenset[str]) -> None:
    """Warns of scans that a training learns from and that are validation or test scans too, or copies of some.

    Likewise of test scans that are validation scans, which choose the best epoch, or from which teachers or earlier
    weights have learned, or that chose these.

    Args:
        dataset: the data set.
        listed: its training and validation cases, each once, with their digests.
        unlabelled: scans without labels that the training learns from, with their digests; none is a copy of those.
        earlier: SHA-256 of the scans from which the networks had learned that the training builds on, or that chose
            them.
    """
    validated, trained = ({case.name for case in cases} for cases in (dataset.validation, dataset.training))
    if twice := sorted(validated & trained):
        _log.warning(
            "cases that are trained on are also in the validation list, whose Dice is then too high: %s; take them out "
            "of one of the lists",
            joined_names(twice),
        )
    labelled = [(case, digest) for case, digest in listed if case.name in trained]
    others = [(case, digest) for case, digest in labelled if case.name not in validated]
    learned = [*labelled, *unlabelled]
    choosing = [(case, digest) for case, digest in listed if case.name in validated]
    _warn("scans that are trained on are copies of validation scans", {digest.image for _, digest in choosing}, others)
    further = earlier - {digest.image for _, digest in (*listed, *unlabelled)}  # of the others, copies suffice
    try:
        hashes = _hashes(dataset.test, [*listed, *unlabelled], every=bool(further))
    except (InputError, ResourceError) as error:  # the training does without them
        _log.warning("whether test scans take part in the training is not known: %s", error)
    else:
        tested = frozenset(hashes.values())
        _warn("scans that are trained on are test scans too, or copies of some", tested, learned)
        _warn("validation scans, which choose the best epoch, are test scans too, or copies of some", tested, choosing)
        if seen := [name for name, sha256 in hashes.items() if sha256 in further]:
            _log.warning(
                "what this training builds on, teachers or earlier weights, has learned from test scans or was chosen "
                "by them, and their Dice is then too high: %s; leave them out of the test list",
                joined_names(seen),
            )


def _hashes(test: Sequence[Case], others: _Hashed, *, every: bool) -> dict[str, str]:
    """Returns name → SHA-256 of every test scan, or of each that may be a copy of another scan."""
    known = {case.image: digest.image for case, digest in others}
    read = hash_images if every else possible_copies
    hashes = read((case.image for case in test), known, default_threads())
    return {case.name: hashes[case.image] for case in test if case.image in hashes}


def _warn(what: str, scored: Collection[str], cases: _Hashed) -> None:
    """Warns of cases whose scan's SHA-256 is one of those that are scored."""
    if seen := [case.name for case, digest in cases if digest.image in scored]:
        _log.warning("%s, whose Dice is then too high: %s; leave them out", what, joined_names(seen))
