"""Reads nnU-Net v2's raw folders: ``imagesTr/case_0000.nii.gz``, ``labelsTr/case.nii.gz`` and a dataset.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ....runtime.errors import InputError
from ....runtime.scans.names import ENDINGS
from .labels import listed_labels
from .listing import Listing, Source
from .modality import channel_names_of
from .paired_folders import pair_files
from .paths import Paths


class _Files(msgspec.Struct, frozen=True):
    images: list[str]
    label: str


class _Content(msgspec.Struct, frozen=True):
    labels: dict[str, Any]
    file_ending: str = ".nii.gz"
    name: str = ""
    dataset: dict[str, _Files] = {}


@dataclass(frozen=True)
class Nnunet:
    """A dataset.json with ``channel_names``; ``dataset`` lists the cases, or else the folders contain them."""

    name: str = "nnU-Net v2"

    def recognises(self, source: Source) -> bool:
        """Whether a list has ``channel_names`` and names no training case itself."""
        content = source.content or {}
        return "channel_names" in content and not content.get("training")

    def lists_no_case(self, source: Source) -> bool:
        """Whether this is a list of this layout whose cases are neither in it nor in folders beside it."""
        content = source.content or {}
        return self.recognises(source) and not content.get("dataset") and not (source.root / "imagesTr").is_dir()

    def read(self, source: Source) -> Listing:
        """Reads list and folders; see `Layout`."""
        words = channel_names_of(source.content or {}, source.title)
        content = msgspec.convert(source.content, _Content)
        ending = content.file_ending
        if ending.lower() not in ENDINGS:
            raise InputError(
                f'data set {source.title}: expected NIfTI files (.nii, .nii.gz), got "{ending}"; '
                'convert scans and label maps to .nii.gz and set "file_ending" to that'
            )
        root, labels = source.root, listed_labels(content.labels, source.title)
        if content.dataset:
            # Paths may leave the folder: nnU-Net's examples point into other folders.
            paths = Paths(root, expands=True)
            training = [paths.case(entry.images, entry.label, name=name) for name, entry in content.dataset.items()]
            return Listing(content.name, labels, tuple(training), modality=words)
        training = pair_files(root / "imagesTr", root / "labelsTr", channels=True, ending=ending)
        test = pair_files(root / "imagesTs", root / "labelsTs", needs_label=False, channels=True, ending=ending)
        return Listing(content.name, labels, training, test=test, modality=words)
