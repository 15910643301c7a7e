"""Which labels the cases of a list hold, and what a training can do without the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def unseen_labels(cases: Iterable[Collection[int]], labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the labels, the background aside, that no case holds.

    Args:
        cases: the labels that occur in each case, by index.
        labels: index → name.
    """
    seen = {label for case in cases for label in case}
    return tuple(name for index, name in enumerate(labels) if index and index not in seen)


def training_warning(unseen: Sequence[str], labels: Sequence[str]) -> str | None:
    """Returns what to warn of where the training cases lack labels.

    Args:
        unseen: as `unseen_labels` found them.
        labels: index → name.
    """
    if not unseen:
        return None
    if len(unseen) == len(labels) - 1:
        return "no training case holds a label: a network can learn nothing but background; check the label maps"
    return f"in no training case: {', '.join(unseen)}; a network cannot learn what it is not shown"


def validation_warning(unseen: Sequence[str], labels: Sequence[str]) -> str | None:
    """Returns what to warn of where the validation cases lack labels."""
    if not unseen:
        return None
    if len(unseen) == len(labels) - 1:
        return "no validation case holds a label: there is no score, so the last epoch's weights are kept, not the best"
    return f"in no validation case: {', '.join(unseen)}; the mean Dice leaves this out"
