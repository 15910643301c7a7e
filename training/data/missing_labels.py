"""Finds labels that no case of a list contains, and writes the warnings about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def missing_labels(cases: Iterable[Collection[int]], labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the labels, without the background, that no case contains.

    Args:
        cases: per case, the indices of the labels that occur.
        labels: index → name.
    """
    seen = {label for case in cases for label in case}
    return tuple(name for index, name in enumerate(labels) if index and index not in seen)


def missing_in_training_warning(unseen: Sequence[str], labels: Sequence[str]) -> str | None:
    """Returns a warning if the training cases lack labels, else None.

    Args:
        unseen: names from `missing_labels`.
        labels: index → name.
    """
    if not unseen:
        return None
    if len(unseen) == len(labels) - 1:
        return "no training case has a label: a network can learn nothing but background; check the label maps"
    return f"in no training case: {', '.join(unseen)}; a network cannot learn what it is not shown"


def missing_in_validation_warning(unseen: Sequence[str], labels: Sequence[str]) -> str | None:
    """Returns a warning if the validation cases lack labels, else None."""
    if not unseen:
        return None
    if len(unseen) == len(labels) - 1:
        return "no validation case has a label: there is no score, so the last epoch's weights are kept, not the best"
    return f"in no validation case: {', '.join(unseen)}; the mean Dice leaves this out"
