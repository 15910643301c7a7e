"""The content of a data set's list or folders, before it is checked against the files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ....runtime.files.text import utf8_name
from ....runtime.scans.names import FIRST_CHANNEL, joined_names, split_channel, stem
from ..organ_masks import OrganMasks, truth_files

ONE_CHANNEL = (
    'bedside reads one: list the images of that channel alone, each as "image", in a MONAI data list (docs/data.md)'
)


@dataclass(frozen=True)
class Source:
    """A file or folder that the user named as a data set.

    Attributes:
        root: absolute folder that listed paths are relative to.
        title: name of the list or folder, for messages.
        content: content of the JSON file; None for a folder without one.
        labels: label names of the task, background first; None without a task.
    """

    root: Path
    title: str
    content: dict[str, Any] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RawCase:
    """A case as listed.

    Attributes:
        image: absolute path of the image.
        label: absolute path of the label map, or the masks of its organs; None if not listed.
        name: name that the layout gives the case; empty to use the file's name.
        fold: cross-validation fold; None if not listed.
        broken: errors of the entry itself.
    """

    image: Path
    label: Path | OrganMasks | None = None
    name: str = ""
    fold: int | None = None
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The cases and labels that a data set lists.

    Attributes:
        name: name that the data set gives itself; empty without one.
        labels: value → name as listed; empty without label names.
        training: training cases.
        validation: cases that decide which epoch is best.
        test: held-out cases.
        unlabelled: cases that the list marks as unlabelled.
        modality: names of the image channel in the list, such as ``("MRI",)``.
        warnings: unusual findings about the list as a whole, for a person to review.
    """

    name: str
    labels: dict[int, str]
    training: tuple[RawCase, ...]
    validation: tuple[RawCase, ...] = ()
    test: tuple[RawCase, ...] = ()
    unlabelled: tuple[RawCase, ...] = ()
    modality: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def case_names(listed: Sequence[RawCase]) -> dict[Path, str]:
    """Returns image → case name: the file's name, preceded by folders' names where files in several share a name.

    The folders are as many, from the file upwards, as tell these files apart; one, if none can.
    """
    cases = {raw.image: raw for raw in reversed(listed)}
    unnamed = [raw for raw in cases.values() if not raw.name]
    # Four final digits are nnU-Net's channel if every image ends in 0000 and no label map does; else a case number.
    splits = {raw.image: split_channel(stem(raw.image.name)) for raw in unnamed}
    are_channels = all(split is not None and split[1] == 0 for split in splits.values()) and not any(
        stem(file.name) == stem(raw.image.name) for raw in unnamed for file in truth_files(raw.label)
    )
    plain: dict[Path, str] = {}
    for image, raw in cases.items():
        split = splits.get(image) if are_channels else None
        plain[image] = utf8_name(raw.name or (split[0] if split else stem(image.name)))
    alike: defaultdict[str, list[Path]] = defaultdict(list)
    for image, name in plain.items():
        alike[name].append(image)
    depths = {name: _depth(images) for name, images in alike.items()}
    return {image: _joined(name, image, depths[name]) for image, name in plain.items()}


def _depth(images: Sequence[Path]) -> int:
    """Returns how many folders, from the file upwards, tell images apart; 1 if none can."""
    if len(images) == 1:
        return 0
    most = max(len(image.parent.parts) for image in images)
    return next((n for n in range(1, most) if len({image.parent.parts[-n:] for image in images}) == len(images)), 1)


def _joined(name: str, image: Path, folders: int) -> str:
    return "_".join([*map(utf8_name, image.parent.parts[len(image.parent.parts) - folders :]), name])


def several_images(files: Sequence[Path]) -> str:
    """Returns the reason against a case with several image files: channels, or one scan stored more than once."""
    got = f"got {len(files)} ({joined_names(file.name for file in files)})"
    if len({stem(file.name).removesuffix(FIRST_CHANNEL) for file in files}) == 1:
        return f"expected one image, {got}; leave one in the folder"
    return f"expected one image channel, {got}; {ONE_CHANNEL}"


class Layout(Protocol):
    """A storage layout of data sets; to add one, write a class and add a row to `reading.LAYOUTS`."""

    @property
    def name(self) -> str:
        """Name of the layout, for messages."""
        ...

    def recognises(self, source: Source) -> bool:
        """Whether a data set is stored in this layout."""
        ...

    def read(self, source: Source) -> Listing:
        """Reads the list or the folders of a data set.

        Raises:
            InputError: the images have several channels, or fields of the list cannot be used.
        """
        ...
