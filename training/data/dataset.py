"""A data set: its labels and its cases, checked before anything is computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runtime import arguments
from ...runtime.errors import InputError, UsageError
from .dataset_formats import Listing, RawCase, read_listing

_SHOWN = 5  # broken cases named in one message; the rest are counted
ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        name: unique in its data set; the image's file name, without ending and channel number.
        image: the image file.
        label: the label map, if there is one.
        fold: the cross-validation fold it is listed in, if any.
    """

    name: str
    image: Path
    label: Path | None = None
    fold: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set with dense labels.

    A case may stand in several lists (a single scan used for training and validation), but under one name there is
    only ever one image.

    Attributes:
        name: as the data set calls itself, or its folder's name.
        labels: index → name; index 0 is ``"background"``.
        training: cases to learn from, all with labels.
        validation: cases to choose the best epoch by, all with labels; empty if the data set lists none (see `split`).
        test: held-out cases, with or without labels.
        root: the folder the data set lies in.
    """

    name: str
    labels: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    root: Path

    def split(self, *, fold: int | None = None, fraction: float = 0.2, seed: int = 0) -> Dataset:
        """Returns the data set with a validation list taken out of its training list.

        Args:
            fold: validate on the cases of this fold and train on the others.
            fraction: share of the training cases to validate on, if no fold is given; at least one case, and at least
                one stays for training.
            seed: which cases; the choice depends on the names, not on the order they are listed in.

        Raises:
            UsageError: the data set already has a validation list, has no such fold, or is too small; or a fraction
                outside 0…1.
        """
        if self.validation:
            raise UsageError(
                f'data set "{self.name}" already has {len(self.validation)} validation cases; '
                "train with those, without --fold or --validation-fraction"
            )
        if fold is not None:
            chosen = {case.name for case in self.training if case.fold == fold}
            if not chosen or len(chosen) == len(self.training):
                folds = sorted({case.fold for case in self.training if case.fold is not None})
                raise UsageError(
                    f'data set "{self.name}" cannot be split at fold {fold}; it has folds {folds or "none"}; '
                    "name another, or set a share of the cases apart: --validation-fraction 0.2"
                )
        else:
            if not 0 < fraction < 1:
                raise UsageError(f"validation fraction: expected more than 0 and less than 1, got {fraction:g}")
            if len(self.training) < 2:
                raise UsageError(
                    f'data set "{self.name}": expected two training cases or more to set one apart, got '
                    f"{len(self.training)}; train without validation"
                )
            names = sorted(case.name for case in self.training)
            count = min(max(round(fraction * len(names)), 1), len(names) - 1)
            chosen = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]}
        return replace(
            self,
            training=tuple(case for case in self.training if case.name not in chosen),
            validation=tuple(case for case in self.training if case.name in chosen),
        )


@dataclass(frozen=True)
class BrokenCase:
    """What is wrong with a case, as its list and a look for its files tell.

    Attributes:
        name: the case.
        reason: expected, got.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f'"{self.name}": {self.reason}'


@dataclass(frozen=True)
class DatasetListing:
    """A data set as listed, with what is broken in it.

    Attributes:
        dataset: every case that is listed, broken or not.
        broken: what is wrong with single cases; a case may occur more than once.
    """

    dataset: Dataset
    broken: tuple[BrokenCase, ...]


def load_dataset(path: str | Path, *, labels: Sequence[str] | None = None) -> Dataset:
    """Reads a data set in any of the three layouts; which one is seen from its content.

    - Medical Segmentation Decathlon: ``dataset.json`` (or its folder) with ``labels`` as ``{"0": name}`` or
      ``{name: 0}`` and lists ``training``, ``validation``, ``test``;
    - nnU-Net v2 raw folder: ``dataset.json`` with ``channel_names``, ``imagesTr/case_0000.nii.gz``,
      ``labelsTr/case.nii.gz``, and ``imagesTs``, ``labelsTs`` where there are any;
    - MONAI data list: a JSON file with ``training`` (and ``validation``, ``testing``) lists of ``image``, ``label`` and
      optionally ``fold``; paths may be absolute or relative to the file.

    Label values must be dense (0, 1, 2, …): the value in a label map is the index of a network output, and renumbering
    behind the user's back would hide which organ is which. One image channel per case.

    Args:
        path: the JSON file, or the folder with ``dataset.json``.
        labels: label names, background first, for a MONAI list that has none.

    Raises:
        InputError: unreadable list, labels that are not dense, or broken cases (missing file, no label map, a path that
            leaves the data set, a name used twice); the message names the first five and counts the rest.
    """
    listing = list_dataset(path, labels=labels)
    if listing.broken:
        shown = "; ".join(str(case) for case in listing.broken[:_SHOWN])
        rest = f" … and {len(listing.broken) - _SHOWN} more" if len(listing.broken) > _SHOWN else ""
        file = Path(path).name if Path(path).is_file() else "dataset.json"
        raise InputError(f"data set {file}: {len(listing.broken)} broken: {shown}{rest}")
    return listing.dataset


def list_dataset(path: str | Path, *, labels: Sequence[str] | None = None) -> DatasetListing:
    """Reads a data set's list as `load_dataset` does; broken cases are told, not raised.

    Raises:
        InputError: unreadable list, no case, or labels that are not dense.
    """
    source = arguments.path("data set", path)
    labels = arguments.optional(arguments.names, "labels", labels)
    if source.is_dir():
        source = source / "dataset.json"
    if not source.is_file():
        raise InputError(
            f'data set: expected a JSON file or a folder with dataset.json, found none at "{path}"; '
            "give the folder or the list of a data set"
        )
    listing = read_listing(source)
    names = _dense_labels(listing.labels, labels, source.name)
    broken: list[BrokenCase] = []
    case_names = _case_names(listing)
    lists = [
        tuple(_checked_case(raw, case_names[raw.image], raw_list is not listing.test, broken) for raw in raw_list)
        for raw_list in (listing.training, listing.validation, listing.test)
    ]
    for cases in lists:
        times = Counter(case.name for case in cases)
        broken += [BrokenCase(name, f"listed {n} times") for name, n in times.items() if n > 1]
    images: dict[str, Path] = {}
    for case in (case for cases in lists for case in cases):
        if images.setdefault(case.name, case.image) != case.image:
            broken.append(BrokenCase(case.name, "the name stands for two images"))
    if not any(lists):
        raise InputError(
            f"data set {source.name}: expected at least one case in training, validation or test, got none"
        )
    root = source.parent.resolve()
    dataset = Dataset(listing.name or root.name, names, lists[0], lists[1], lists[2], root)
    return DatasetListing(dataset, tuple(dict.fromkeys(broken)))


def _dense_labels(listed: dict[int, str], given: Sequence[str] | None, file: str) -> tuple[str, ...]:
    if not listed:
        if given is None:
            raise InputError(
                f'data set {file}: it names no labels; add "labels": {{"0": "background", "1": …}} or give a task'
            )
        return tuple(given)
    labels = {0: "background", **listed}
    if labels[0].lower() != "background":
        raise InputError(
            f'data set {file}: expected label 0 to be "background", got "{labels[0]}"; renumber the labels'
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
    return names


def stem(file: str) -> str:
    """Returns a NIfTI file's name without its ending."""
    for ending in ENDINGS:
        if file.endswith(ending):
            return file[: -len(ending)]
    return file


def _case_names(listing: Listing) -> dict[Path, str]:
    """Names every image by its file; where files in different folders share a name, by folder and file."""
    images = {raw.image: raw.name for raw in (*listing.training, *listing.validation, *listing.test)}
    plain = {image: name or stem(image.name) for image, name in images.items()}
    uses = Counter(plain.values())
    return {image: name if uses[name] == 1 else f"{image.parent.name}_{name}" for image, name in plain.items()}


def _checked_case(raw: RawCase, name: str, needs_label: bool, broken: list[BrokenCase]) -> Case:
    reasons = list(raw.broken)
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        reasons.append("a case name is part of file names and cannot be this")
    if raw.label is None and needs_label:
        reasons.append("no label map is listed")
    for kind, file in (("image", raw.image), ("label map", raw.label)):
        if file is None:
            continue
        if not file.name.endswith(ENDINGS):
            reasons.append(f'{kind} "{file.name}" is neither .nii nor .nii.gz')
        elif not file.is_file():
            reasons.append(f'{kind} "{file.name}" does not exist')
    broken += [BrokenCase(name, reason) for reason in reasons]
    return Case(name, raw.image, raw.label, raw.fold)
