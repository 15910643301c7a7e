"""Converts label values and names from the form of a list to the indices of a network's outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....runtime.errors import InputError

_BACKGROUND = {
    "background", "bg", "back", "backgr", "unlabelled", "unlabeled", "unknown", "clearlabel", "none", "nothing", "void",
    "empty", "null", "outside",
}  # fmt: skip


@dataclass(frozen=True)
class LabelNames:
    """The labels of a data set.

    Attributes:
        names: index → name; index 0 is ``"background"``.
        background: the list's name of label 0, if it is a synonym of "background"; else empty.
    """

    names: tuple[str, ...]
    background: str = ""


def listed_labels(listed: dict[str, Any] | list[str], file: str) -> dict[int, str]:
    """Returns value → name from ``{"0": name}``, ``{name: 0}`` or ``[name, …]``.

    Raises:
        InputError: the list defines regions, gives one value two names, or has another form.
    """
    if isinstance(listed, list):
        return dict(enumerate(listed))
    labels: dict[int, str] = {}
    for key, value in listed.items():
        if isinstance(value, list):
            raise InputError(f'data set {file}: label "{key}" is a region of several values; list plain labels instead')
        if isinstance(value, int) and not isinstance(value, bool):
            number, name = value, key
        elif isinstance(value, str) and key.isdecimal():
            number, name = int(key), value
        elif isinstance(value, str) and value.isdecimal():
            number, name = int(value), key
        else:
            raise InputError(
                f'data set {file}: expected labels as {{"0": name}} or {{name: 0}}, got "{key}": {value!r}'
            )
        if number in labels:
            raise InputError(
                f'data set {file}: label value {number} has the names "{labels[number]}" and "{name}"; '
                "give every value one name"
            )
        labels[number] = name.strip()
    return labels


def dense_labels(listed: dict[int, str], given: Sequence[str] | None, file: str) -> LabelNames:
    """Returns the names by index: the value in a label map is the index of a network output.

    Args:
        listed: value → name; empty if the data set has no names.
        given: label names of the task, for a data set without names.
        file: name of the data set, for messages.

    Raises:
        InputError: there are no names, the values have gaps, label 0 is not the background, or two labels have the same
            name.
    """
    if not listed:
        if given is None:
            raise InputError(
                f"data set {file}: it names no labels; give a task that does (--task; evaluate also takes --labels), "
                'or a JSON list with "labels": {"0": "background", "1": …}'
            )
        return LabelNames(tuple(given))
    labels = {0: "background", **listed}
    first = labels[0]
    if not means_background(first):
        raise InputError(
            f'data set {file}: expected label 0 to be "background", got "{first}"; rename label 0 to background if 0 '
            "means outside all structures; else number these from 1, in the list and in the label maps"
        )
    labels[0] = "background"
    if sorted(labels) != list(range(len(labels))):
        raise InputError(
            f"data set {file}: expected label values 0…{len(labels) - 1} without gaps, got {sorted(labels)}; "
            "renumber the label maps and the list"
        )
    names = tuple(labels[value] for value in range(len(labels)))
    if len(names) < 2 or len(set(names)) != len(names):
        raise InputError(f"data set {file}: expected at least one label, each name once, got {list(names)}")
    return LabelNames(names, "" if first.lower() == "background" else first)


def means_background(name: str) -> bool:
    """Returns whether a name is a usual synonym of "background", such as bg, unlabelled or Clear Label."""
    return re.sub(r"[\W_]", "", name.lower()) in _BACKGROUND
