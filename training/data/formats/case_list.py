"""Reads lists that name every case: the Medical Segmentation Decathlon's dataset.json and MONAI's data list."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ....runtime.errors import InputError
from ....runtime.scans.names import has_nifti_ending
from .labels import listed_labels
from .listing import ONE_CHANNEL, Listing, RawCase, Source
from .modality import channel_names_of
from .paths import Paths

_DECATHLON_FIELDS = ("tensorImageSize", "modality", "numTraining", "numTest")
_ANOTHER_CHANNEL = re.compile(r"(image|img|channel)[ _-]?\d+", re.IGNORECASE)
_UNLABELLED = ("unlabeled", "unlabelled")
_LISTS = ("training", "validation", "test", "testing", *_UNLABELLED)


class _CaseList(msgspec.Struct, frozen=True):
    """The fields read from a list; other fields are ignored."""

    training: list[Any]
    name: str = ""
    labels: dict[str, Any] | list[str] = {}
    validation: list[Any] = []
    test: list[Any] = []
    testing: list[Any] = []


@dataclass(frozen=True)
class CaseList:
    """A JSON file with ``training``, ``validation``, ``test`` and ``unlabeled``.

    Attributes:
        name: name of the layout.
        decathlon: whether it is the Decathlon's list, whose paths must stay in its folder, because users pass such data
            sets on as a whole.
    """

    name: str
    decathlon: bool

    def recognises(self, source: Source) -> bool:
        """Whether a list has ``training``, with a Decathlon-only field (Decathlon) or without one (MONAI)."""
        content = source.content or {}
        return "training" in content and self.decathlon == any(field in content for field in _DECATHLON_FIELDS)

    def read(self, source: Source) -> Listing:
        """Reads the list; see `Layout`."""
        content = source.content or {}
        words = channel_names_of(content, source.title)
        lists = msgspec.convert(content, _CaseList)
        reader = _Entries(Paths(source.root, stays_inside=self.decathlon), source.title, [])
        return Listing(
            lists.name,
            listed_labels(lists.labels, source.title),
            reader.read(lists.training, "training"),
            reader.read(lists.validation, "validation"),
            reader.read([*lists.test, *lists.testing], "test"),
            tuple(case for name in _UNLABELLED for case in reader.read_unlabelled(content.get(name), name)),
            words,
            (*_unread_lists(content), *dict.fromkeys(reader.warnings)),
        )


@dataclass(frozen=True)
class _Entries:
    """Reads the entries of a list one by one.

    Attributes:
        paths: resolves their paths.
        title: name of the list, for messages.
        warnings: list to which unusual findings are added, for a person to review.
    """

    paths: Paths
    title: str
    warnings: list[str]

    def read(self, entries: list[Any], name: str) -> tuple[RawCase, ...]:
        """Returns the cases of one list."""
        return tuple(self._case(entry, f"{name}[{number}]") for number, entry in enumerate(entries))

    def read_unlabelled(self, entries: object, name: str) -> tuple[RawCase, ...]:
        """Returns the cases of a list that need not be there."""
        if entries is None:
            return ()
        if not isinstance(entries, list):
            raise self._refusal(name, "a list of paths", entries)
        return self.read([*entries], name)

    def _case(self, entry: object, place: str) -> RawCase:
        if isinstance(entry, str):
            return self.paths.case([entry], None)
        if not isinstance(entry, dict):
            raise self._refusal(place, "a path or a mapping", entry)
        fields: dict[str, Any] = {str(key): value for key, value in entry.items()}
        self._look_for_channels(fields, place)
        if "image" not in fields:
            named = ", ".join(f'"{key}"' for key in list(fields)[:4]) or "nothing"
            raise InputError(f'data set {self.title}: {place}: expected "image", got {named}; name its file "image"')
        images = self._files(fields["image"], f"{place}.image")
        if len(images) > 1:
            raise InputError(
                f"data set {self.title}: {place}: expected one image channel, got {len(images)} files; {ONE_CHANNEL}"
            )
        labels = self._files(fields.get("label"), f"{place}.label")
        fold = fields.get("fold")
        if fold is not None and (not isinstance(fold, int) or isinstance(fold, bool)):
            raise self._refusal(f"{place}.fold", "a whole number", fold)
        case = self.paths.case(images, labels[0] if labels else None, fold=fold)
        if len(labels) < 2:
            return case
        several = f"expected one label map, got {len(labels)}; merge them into one with a value for each label"
        return replace(case, broken=(*case.broken, several))

    def _files(self, value: object, place: str) -> list[str]:
        if value is None and place.endswith("label"):
            return []
        if isinstance(value, str):
            return [value] if value else []
        if isinstance(value, list) and all(isinstance(file, str) for file in value):
            return [str(file) for file in value]
        raise self._refusal(place, "a path", value)

    def _look_for_channels(self, fields: dict[str, Any], place: str) -> None:
        for key, value in fields.items():
            listed = value if isinstance(value, list) else [value]
            if key in ("image", "label") or not any(map(_is_nifti, listed)):
                continue
            if _ANOTHER_CHANNEL.fullmatch(key):
                raise InputError(
                    f'data set {self.title}: {place}: expected one image channel, got another one as "{key}"; '
                    f"{ONE_CHANNEL}"
                )
            self.warnings.append(f'the list also names files as "{key}": only "image" and "label" are read')

    def _refusal(self, place: str, expected: str, got: object) -> InputError:
        return InputError(f"data set {self.title}: {place}: expected {expected}, got {type(got).__name__}")


def _unread_lists(content: dict[str, Any]) -> list[str]:
    """Returns a warning for each list of cases under a name that bedside does not read, such as "val"."""
    known = ", ".join(f'"{name}"' for name in _LISTS[:3])
    return [
        f'the list also names cases under "{name}", which are left unread: bedside reads {known} and "{_UNLABELLED[0]}"'
        for name, entries in content.items()
        if name not in _LISTS and isinstance(entries, list) and any(map(_is_case, entries))
    ]


def _is_case(entry: object) -> bool:
    return _is_nifti(entry) or (isinstance(entry, dict) and "image" in entry)


def _is_nifti(entry: object) -> bool:
    return isinstance(entry, str) and has_nifti_ending(entry)
