"""The ignore label: marks voxels whose true label is unknown; loss and scores leave them out.

nnU-Net's convention: the list of labels has one named "ignore", with the highest value. It is no class: a network has
no output for it. See nnU-Net #1926.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.errors import InputError

NAME = "ignore"
IGNORED = 65_535
"""Value of ignored voxels in every label map on a task's grid and in the targets of a loss, whatever the ignore label's
value in the files."""


def split_ignore_label(
    listed: dict[int, str], file: str, given: Sequence[str] | None = None
) -> tuple[dict[int, str], int | None]:
    """Separates the ignore label from a list of labels.

    Args:
        listed: value → name; empty if the list has no names.
        file: file name of the list, for messages.
        given: label names of the task, used if the list has none.

    Returns:
        The labels without the ignore label, and its value; None without an ignore label.

    Raises:
        InputError: two labels are named "ignore", or its value is not the highest.
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
