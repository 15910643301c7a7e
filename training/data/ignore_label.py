"""The ignore label: voxels of a label map about which nothing is known, so that they take no part in loss or scores.

nnU-Net's convention: the list of labels has one named "ignore", with the highest value. It is no class: a network has
no output for it. See nnU-Net #1926.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.errors import InputError

NAME = "ignore"
IGNORED = 65_535
"""Stands for the ignore label, whatever its value in the files, in every label map on a task's grid and in the targets
of a loss."""


def split_ignore_label(
    listed: dict[int, str], file: str, given: Sequence[str] | None = None
) -> tuple[dict[int, str], int | None]:
    """Takes the ignore label out of a list of labels.

    Args:
        listed: value → name.
        file: the list's file name.
        given: the task's names, which are the labels where the list names none.

    Returns:
        The labels without it, and its value; None where there is none.

    Raises:
        InputError: it stands twice, or between the labels.
    """
    values = [value for value, name in listed.items() if name.strip().lower() == NAME]
    if not values:
        return listed, None
    labels = {value: name for value, name in listed.items() if value not in values}
    ignore = values[0]
    highest = max(labels, default=len(given or [NAME]) - 1)
    if len(values) > 1 or not highest < ignore <= IGNORED:
        got = " and ".join(str(value) for value in sorted(values))
        raise InputError(
            f'data set {file}: expected one label "{NAME}" with the highest value of all, at most {IGNORED}, got {got} '
            f"where the highest other one is {highest}; renumber the label maps and the list"
        )
    return labels, ignore
