"""What a data set's list or folders say, before it is checked against the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..organ_masks import OrganMasks

ONE_CHANNEL = (
    'bedside reads one: list the images of that channel alone, each as "image", in a MONAI data list (docs/data.md)'
)


@dataclass(frozen=True)
class Source:
    """What the user named as a data set.

    Attributes:
        root: absolute folder that listed paths are relative to.
        called: what messages call it: the list's or the folder's name.
        content: of the JSON file; None for a folder without one.
        labels: label names that the task gives, background first, if any.
    """

    root: Path
    called: str
    content: dict[str, Any] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RawCase:
    """A case as listed.

    Attributes:
        image: absolute path.
        label: the label map's absolute path or its organs' masks, if listed.
        name: if the layout gives one; else the file's name serves.
        fold: cross-validation fold, if listed.
        broken: what is wrong with the entry itself.
    """

    image: Path
    label: Path | OrganMasks | None = None
    name: str = ""
    fold: int | None = None
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What a data set says.

    Attributes:
        name: the data set's own name, or empty.
        labels: value → name as listed; empty if there are none.
        training: cases to learn from.
        validation: cases to choose the best epoch by.
        test: held-out cases.
        unlabelled: images that the list keeps apart because nobody has labelled them.
        modality: the list's own words for the image channel, such as ``("MRI",)``.
        warnings: what deserves a look in the list as a whole.
    """

    name: str
    labels: dict[int, str]
    training: tuple[RawCase, ...]
    validation: tuple[RawCase, ...] = ()
    test: tuple[RawCase, ...] = ()
    unlabelled: tuple[RawCase, ...] = ()
    modality: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Layout(Protocol):
    """A way in which data sets are stored; adding one is a class and a row in `reading.LAYOUTS`."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def recognises(self, source: Source) -> bool:
        """Whether a data set is stored in this way."""
        ...

    def read(self, source: Source) -> Listing:
        """Reads it.

        Raises:
            InputError: several image channels, or fields that cannot be used.
        """
        ...
