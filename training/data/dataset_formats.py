"""The three ways data sets are listed, each read into one `Listing`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ...runtime.errors import InputError

_DECATHLON_FIELDS = ("tensorImageSize", "modality", "numTraining", "numTest")


@dataclass(frozen=True)
class RawCase:
    """A case as listed.

    Attributes:
        image: absolute path.
        label: absolute path, if a label map is listed.
        name: if the layout gives one; else the file's name serves.
        fold: cross-validation fold, if listed.
        broken: what is wrong with the entry itself.
    """

    image: Path
    label: Path | None = None
    name: str = ""
    fold: int | None = None
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What a data set's list says, before it is checked against the files.

    Attributes:
        name: the data set's own name, or empty.
        labels: value → name as listed; empty if the list has none.
        training: cases of the list ``training``.
        validation: cases of the list ``validation``.
        test: cases of the list ``test`` or ``testing``.
    """

    name: str
    labels: dict[int, str]
    training: tuple[RawCase, ...]
    validation: tuple[RawCase, ...] = ()
    test: tuple[RawCase, ...] = ()


class _Entry(msgspec.Struct, frozen=True):
    image: str | list[str]
    label: str | None = None
    fold: int | None = None


_Entries = list[_Entry | str]


class _CaseList(msgspec.Struct, frozen=True):
    """MSD's dataset.json and MONAI's data list; further fields are theirs and ignored."""

    training: _Entries
    name: str = ""
    labels: dict[str, Any] | list[str] = {}
    modality: dict[str, Any] | list[str] | str | None = None
    validation: _Entries = []
    test: _Entries = []
    testing: _Entries = []


class _NnunetFiles(msgspec.Struct, frozen=True):
    images: list[str]
    label: str


class _Nnunet(msgspec.Struct, frozen=True):
    channel_names: dict[str, Any]
    labels: dict[str, Any]
    file_ending: str = ".nii.gz"
    name: str = ""
    dataset: dict[str, _NnunetFiles] = {}


@dataclass(frozen=True)
class _Paths:
    """Turns listed paths into absolute ones, and notes those that may not be used."""

    root: Path
    stays_inside: bool

    def case(self, images: Sequence[str], label: str | None, *, name: str = "", fold: int | None = None) -> RawCase:
        broken = [] if len(images) == 1 else [f"expected one image channel, got {len(images)}"]
        image = self._at(images[0] if images else "", broken)
        truth = self._at(label, broken) if label else None
        return RawCase(image, truth, name, fold, tuple(dict.fromkeys(broken)))

    def entry(self, entry: _Entry | str) -> RawCase:
        if isinstance(entry, str):
            return self.case([entry], None)
        images = [entry.image] if isinstance(entry.image, str) else entry.image
        return self.case(images, entry.label, fold=entry.fold)

    def _at(self, listed: str, broken: list[str]) -> Path:
        # Compared as written, links not followed: data sets are often trees of symbolic links.
        path = self.root / os.path.normpath(listed)
        if self.stays_inside and not (path.is_relative_to(self.root) and ".." not in path.parts):
            broken.append("its path leaves the data set's folder; list it relative to that")
        return path


def read_listing(file: Path) -> Listing:
    """Reads a list of cases; the layout is recognised by its fields.

    Raises:
        InputError: not JSON, none of the known layouts, several image channels, or labels that cannot be used.
    """
    try:
        content = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"data set {file.name}: expected a readable JSON file: {error}") from None
    if not isinstance(content, dict) or not ({"training", "channel_names"} & content.keys()):
        raise InputError(
            f'data set {file.name}: expected "training" (MSD, MONAI list) or "channel_names" (nnU-Net v2) at the top, '
            f"got {_top(content)}; give another file, or list the cases as docs/data.md shows"
        )
    try:
        if "training" in content:
            decathlon = any(name in content for name in _DECATHLON_FIELDS)
            return _from_case_list(msgspec.convert(content, _CaseList), file, stays_inside=decathlon)
        return _from_nnunet(msgspec.convert(content, _Nnunet), file)
    except msgspec.ValidationError as error:
        raise InputError(f"data set {file.name}: {error}") from None


def _top(content: object) -> str:
    """Says what stands at the top of a JSON file that is no list of cases."""
    if not isinstance(content, dict):
        return "no mapping"
    names = [f'"{name}"' for name in content]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") if names else "an empty one"


def _from_case_list(content: _CaseList, file: Path, stays_inside: bool) -> Listing:
    channels = content.modality
    if isinstance(channels, dict | list) and len(channels) > 1:
        raise InputError(
            f"data set {file.name}: expected one image channel, got {len(channels)} modalities; "
            "bedside reads one: list single-channel images"
        )
    paths = _Paths(file.parent.resolve(), stays_inside)
    training, validation, test = (
        tuple(paths.entry(entry) for entry in entries)
        for entries in (content.training, content.validation, [*content.test, *content.testing])
    )
    return Listing(content.name, _labels(content.labels, file.name), training, validation, test)


def _from_nnunet(content: _Nnunet, file: Path) -> Listing:
    if len(content.channel_names) != 1:
        raise InputError(
            f"data set {file.name}: expected one image channel, got {len(content.channel_names)}; "
            "bedside reads one: list single-channel images"
        )
    if content.file_ending not in (".nii", ".nii.gz"):
        raise InputError(
            f'data set {file.name}: expected NIfTI files (.nii, .nii.gz), got "{content.file_ending}"; '
            "convert the scans and name their ending"
        )
    root, labels = file.parent.resolve(), _labels(content.labels, file.name)
    if content.dataset:
        paths = _Paths(root, stays_inside=True)
        training = [paths.case(entry.images, entry.label, name=name) for name, entry in content.dataset.items()]
        return Listing(content.name, labels, tuple(training))
    training = _nnunet_cases(root / "imagesTr", root / "labelsTr", content.file_ending, needs_label=True)
    test = _nnunet_cases(root / "imagesTs", root / "labelsTs", content.file_ending, needs_label=False)
    return Listing(content.name, labels, training, test=test)


def _nnunet_cases(images: Path, labels: Path, ending: str, needs_label: bool) -> tuple[RawCase, ...]:
    """Pairs ``case_0000`` with ``case``; a partner that is missing shows when the files are looked for."""
    found = {f.name.removesuffix(f"_0000{ending}") for f in images.glob(f"*_0000{ending}") if f.name[0] != "."}
    labelled = {f.name.removesuffix(ending) for f in labels.glob(f"*{ending}") if f.name[0] != "."}
    return tuple(
        RawCase(
            images / f"{name}_0000{ending}",
            labels / f"{name}{ending}" if needs_label or name in labelled else None,
            name,
        )
        for name in sorted(found | labelled)
    )


def _labels(listed: dict[str, Any] | list[str], file: str) -> dict[int, str]:
    """Returns value → name from ``{"0": name}``, ``{name: 0}`` or ``[name, …]``."""
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
                f'data set {file}: label value {number} stands for "{labels[number]}" and "{name}"; '
                "give every value one name"
            )
        labels[number] = name.strip()
    return labels
