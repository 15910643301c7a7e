"""A data set: its labels and its cases, checked before anything is computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runtime import arguments
from ...runtime.errors import InputError, UsageError
from ...runtime.scans.names import has_nifti_ending
from .formats.labels import dense_labels
from .formats.listing import RawCase, case_names
from .formats.reading import read_listing, read_source
from .formats.unlabelled import without_repeats
from .ignore_label import split_ignore_label
from .nnunet_splits import SPLITS, choose, find_splits, read_splits
from .organ_masks import OrganMasks, truth_files

_NO_FOLDS = f'no "fold" in its list, and no {SPLITS} beside it or in nnUNet_preprocessed'
_SHOWN = 5  # broken cases named in one message; the rest are counted


class NoFoldError(UsageError):
    """A data set cannot be split at a fold."""


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        name: unique in its data set; the image's file name without ending and channel number, or its folder's name, as
            UTF-8 text.
        image: path of the image file.
        label: path of the label map, or the masks of its organs; None without labels.
        fold: cross-validation fold that the list assigns it to; None without folds.
        ignore: label value of the voxels that loss and scores leave out; None without an ignore label.
    """

    name: str
    image: Path
    label: Path | OrganMasks | None = None
    fold: int | None = None
    ignore: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set with dense labels.

    Several lists may contain the same case (a single scan used for training and validation), but one name always means
    one image, with one label map if any.

    Attributes:
        name: name in the list, or else the folder's name.
        labels: index → name; index 0 is ``"background"``.
        training: training cases, all with labels.
        validation: cases that decide which epoch is best, all with labels; empty if the data set lists none (see
            `split`).
        test: held-out cases, with or without labels.
        root: folder of the data set.
        unlabelled: cases that the list marks as unlabelled, each file once; whether the files exist is not checked, nor
            whether other lists have them too (see `unlabelled.without_known`).
        modality: names of the modality in the list, such as ``("MRI",)``.
        warnings: unusual findings about the list as a whole, for a person to review.
        fold: fold chosen by `split`; None before, or without folds.
        left_out: training cases that the splits file of the fold does not name.
    """

    name: str
    labels: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    root: Path
    unlabelled: tuple[Case, ...] = ()
    modality: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fold: int | None = None
    left_out: tuple[Case, ...] = ()

    @property
    def ignore(self) -> int | None:
        """Value of the ignore label, the same in all label maps; None without an ignore label."""
        return next((case.ignore for case in (*self.training, *self.validation, *self.test)), None)

    def split(self, *, fold: int | None = None, fraction: float | None = None, seed: int = 0) -> Dataset:
        """Returns the data set with part of its training list moved to the validation list.

        Args:
            fold: number of the fold to validate on, from the list's own folds or else nnU-Net's ``splits_final.json``;
                the other cases are for training, except those that ``splits_final.json`` does not name, which are left
                out.
            fraction: share of the training cases to validate on, in place of a fold; at least one case is moved, and at
                least one remains for training. None without a fold: 0.2.
            seed: random seed of the choice, which depends on the names of the cases, not on their order.

        Raises:
            NoFoldError: the data set has no such fold.
            UsageError: the data set already has a validation list, or is too small; or the fraction is outside 0…1, or
                comes with a fold.
            InputError: the splits file cannot be used, or names cases that the data set lacks.
        """
        if self.validation:
            raise UsageError(
                f'data set "{self.name}" already has {len(self.validation)} validation cases; '
                "take those, and choose no fold and no share of the training cases"
            )
        if fold is not None and fraction is not None:
            raise UsageError("--fold and --validation-fraction both choose the validation cases: leave one of them out")
        names = frozenset(case.name for case in self.training)
        validated = self._share(0.2 if fraction is None else fraction, seed) if fold is None else frozenset[str]()
        trained = names - validated
        if fold is not None:
            file = None if any(case.fold is not None for case in self.training) else find_splits(self.root)
            if file is None:
                validated = self._listed_fold(fold)
                trained = names - validated
            else:
                listed = read_splits(file).fold(fold)
                trained = choose(listed.train, names, f"fold {fold}, train")
                validated = choose(listed.val, names, f"fold {fold}, val")
        return replace(
            self,
            training=tuple(case for case in self.training if case.name in trained),
            validation=tuple(case for case in self.training if case.name in validated),
            fold=fold,
            left_out=tuple(case for case in self.training if case.name not in trained | validated),
        )

    def _listed_fold(self, fold: int) -> frozenset[str]:
        chosen = frozenset(case.name for case in self.training if case.fold == fold)
        if not chosen or len(chosen) == len(self.training):
            folds = sorted({case.fold for case in self.training if case.fold is not None})
            has = f"folds {', '.join(map(str, folds))}: name another" if folds else f"{_NO_FOLDS}: give no fold"
            raise NoFoldError(f'data set "{self.name}" cannot be split at fold {fold}; it has {has}')
        return chosen

    def _share(self, fraction: float, seed: int) -> frozenset[str]:
        if not 0 < fraction < 1:
            raise UsageError(f"validation fraction: expected more than 0 and less than 1, got {fraction:g}")
        if len(self.training) < 2:
            raise UsageError(
                f'data set "{self.name}": expected two training cases or more to set one apart, got '
                f"{len(self.training)}; train without validation"
            )
        names = sorted(case.name for case in self.training)
        count = min(max(round(fraction * len(names)), 1), len(names) - 1)
        return frozenset(names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count])


@dataclass(frozen=True)
class BrokenCase:
    """An error in a case's list entry, or a missing file.

    Attributes:
        name: name of the case.
        reason: the error, as text for a message.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f'"{self.name}": {self.reason}'


@dataclass(frozen=True)
class DatasetListing:
    """A data set as listed, with the errors of single cases.

    Attributes:
        dataset: every listed case, broken or not.
        title: name of the list or folder, for messages.
        layout: name of the layout, for messages.
        broken: errors of single cases; a case may occur more than once.
        notes: how ambiguous parts of the list were interpreted.
    """

    dataset: Dataset
    title: str
    layout: str
    broken: tuple[BrokenCase, ...]
    notes: tuple[str, ...] = ()


def load_dataset(path: str | Path, *, labels: Sequence[str] | None = None) -> Dataset:
    """Reads a data set in any of the layouts of `formats.reading`, recognised by its content.

    - Medical Segmentation Decathlon: ``dataset.json`` (or its folder) with ``labels`` as ``{"0": name}`` or
      ``{name: 0}`` and lists ``training``, ``validation``, ``test``, ``unlabeled``; also nnU-Net v1 folders;
    - nnU-Net v2 raw folder: ``dataset.json`` with ``channel_names``, ``imagesTr/case_0000.nii.gz``,
      ``labelsTr/case.nii.gz``, and ``imagesTs``, ``labelsTs`` where there are any; or its cases under ``dataset``;
    - MONAI data list: a JSON file with ``training`` (and ``validation``, ``testing``) lists of ``image``, ``label`` and
      optionally ``fold``; paths may be absolute or relative to the file;
    - ``imagesTr`` and ``labelsTr`` without a list, or a folder for each patient; the task names the labels.

    Label values must be dense (0, 1, 2, …): the value in a label map is the index of a network output, and silent
    renumbering would hide which organ is which. A label named "ignore", with the highest value, is no class: loss and
    scores leave its voxels out. One image channel per case.

    Args:
        path: JSON file or folder.
        labels: label names, background first, for a data set without label names.

    Raises:
        InputError: the list cannot be read, its labels are not dense, or cases are broken (missing file, no label map,
            a path that leaves the data set, a name used twice, two label maps of one scan); the message names the
            first five and counts the rest.
    """
    listing = list_dataset(path, labels=labels)
    if listing.broken:
        shown = "; ".join(str(case) for case in listing.broken[:_SHOWN])
        rest = f" … and {len(listing.broken) - _SHOWN} more" if len(listing.broken) > _SHOWN else ""
        raise InputError(f"data set {listing.title}: {len(listing.broken)} broken: {shown}{rest}")
    return listing.dataset


def list_dataset(path: str | Path, *, labels: Sequence[str] | None = None) -> DatasetListing:
    """Reads a data set's list as `load_dataset` does, but returns broken cases instead of raising.

    Raises:
        InputError: the list cannot be read, has no case, or its labels are not dense.
    """
    path = arguments.path("data set", path)
    labels = arguments.optional(arguments.names, "labels", labels)
    source = read_source(path, labels)
    layout, listing = read_listing(source)
    listing = without_repeats(listing)
    listed, ignore = split_ignore_label(listing.labels, source.title, labels)
    names = dense_labels(listed, labels, source.title)
    broken: list[BrokenCase] = []
    listed_names = case_names((*listing.training, *listing.validation, *listing.test))
    lists = [
        tuple(
            replace(_checked_case(raw, listed_names[raw.image], raw_list is not listing.test, broken), ignore=ignore)
            for raw in raw_list
        )
        for raw_list in (listing.training, listing.validation, listing.test)
    ]
    for cases in lists:
        times = Counter((case.name, case.image) for case in cases)
        broken += [BrokenCase(name, f"listed {n} times") for (name, _), n in times.items() if n > 1]
    broken += _contradictions({"training": lists[0], "validation": lists[1], "test": lists[2]})
    if not any(lists):
        raise InputError(
            f"data set {source.title}: expected at least one case in training, validation or test, got none; "
            "add cases to its lists or files to its folders (docs/data.md)"
        )
    unlabelled_names = case_names(listing.unlabelled)
    unlabelled = tuple(Case(unlabelled_names[raw.image], raw.image) for raw in listing.unlabelled)
    dataset = Dataset(
        listing.name or source.root.name,
        names.names,
        lists[0],
        lists[1],
        lists[2],
        source.root,
        unlabelled,
        listing.modality,
        listing.warnings,
    )
    notes = [f'label 0, "{names.background}", is taken as background'] if names.background else []
    return DatasetListing(dataset, source.title, layout, tuple(dict.fromkeys(broken)), tuple(notes))


def _contradictions(lists: Mapping[str, Sequence[Case]]) -> Iterator[BrokenCase]:
    """Yields the cases of one name that have two images, or one image with two label maps."""
    known: dict[str, tuple[str, Case]] = {}
    for name, case in ((name, case) for name, cases in lists.items() for case in cases):
        other_name, other = known.setdefault(case.name, (name, case))
        if case.image != other.image:
            yield BrokenCase(case.name, "two images have this name")
        elif case.label is not None and other.label is not None and case.label != other.label:
            yield BrokenCase(
                case.name,
                f'expected one label map, got "{other.label.name}" ({other_name}) and "{case.label.name}" ({name}); '
                "list the scan with one of them",
            )


def _checked_case(raw: RawCase, name: str, needs_label: bool, broken: list[BrokenCase]) -> Case:
    reasons = list(raw.broken)
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        reasons.append("a case name becomes part of file names: it cannot be empty or contain a slash")
    if raw.label is None and needs_label and not reasons:
        reasons.append("no label map is listed")
    for kind, file in (("image", raw.image), *(("label map", file) for file in truth_files(raw.label))):
        if not has_nifti_ending(file.name):
            reasons.append(f'{kind} "{file.name}" is neither .nii nor .nii.gz; convert it')
        elif not file.is_file():
            reasons.append(f'{kind} "{file.name}" does not exist')
    broken += [BrokenCase(name, reason) for reason in reasons]
    return Case(name, raw.image, raw.label, raw.fold)
