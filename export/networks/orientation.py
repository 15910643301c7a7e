"""The orientation of a network's training scans, where it was trained on scans as they are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...runtime import arguments
from ...runtime.errors import InputError, UsageError
from ...runtime.scans.open_scan import open_scan
from ...training.data.dataset import load_dataset


def training_orientation(
    given: str | None, dataset: Path | None, labels: Sequence[str], *, turned: str | None = None
) -> str:
    """Returns the axis codes, x first, of the scans that a network was trained on.

    bedside turns every scan to one orientation; a network that was trained on scans as stored needs theirs.

    Args:
        given: the codes, where the caller knows them.
        dataset: otherwise, a data set whose training scans are all stored alike.
        labels: the task's label names.
        turned: the codes to which the network's own preprocessing turns its scans; None if it leaves them as stored.

    Raises:
        UsageError: ``given`` is not three axis codes, or not those of ``turned``.
        InputError: neither is given, the data set is refused, or its scans are stored differently.
    """
    codes = None if given is None else arguments.axis_codes("orientation", given)
    if codes is not None and turned is not None and codes != turned:
        raise UsageError(f"orientation {codes} has no effect: the network turns its scans to {turned}; leave it out")
    if (known := turned or codes) is not None:
        return known
    if dataset is None:
        raise InputError(
            "the network was trained on scans as they are stored: give --orientation, their axes such as LPS, or "
            "--calibration with these scans"
        )
    found = load_dataset(dataset, labels=labels)
    cases = found.training or found.validation or found.test
    counts = Counter(open_scan(case.image).grid.axes for case in cases)
    if len(counts) > 1:
        stored = ", ".join(f"{count} as {axes}" for axes, count in counts.most_common())
        raise InputError(f"the scans of --calibration are stored differently ({stored}); give --orientation")
    (axes,) = counts
    return axes
