"""Pairs scans in one folder with label maps of the same names in another: imagesTr beside labelsTr."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ....runtime.scans.names import FIRST_CHANNEL, joined_names, nifti_files, split_channel, stem
from .listing import Listing, RawCase, Source, several_images

_TRAINING = (("imagesTr", "labelsTr"), ("images", "labels"), ("images", "masks"))


@dataclass(frozen=True)
class PairedFolders:
    """Folders without a list; the task names the labels."""

    name: str = "folders of images and labels"

    def recognises(self, source: Source) -> bool:
        """Whether a folder without dataset.json has a folder of images and one of labels."""
        return source.content is None and any(_both(source.root, *names) for names in _TRAINING)

    def read(self, source: Source) -> Listing:
        """Reads the folders; see `Layout`."""
        root = source.root
        images, labels = next(names for names in _TRAINING if _both(root, *names))
        return Listing(
            "",
            {},
            pair_files(root / images, root / labels),
            pair_files(root / "imagesVa", root / "labelsVa"),
            pair_files(root / "imagesTs", root / "labelsTs", needs_label=False),
        )


def pair_files(
    images: Path, labels: Path, *, needs_label: bool = True, channels: bool = False, ending: str = ".nii.gz"
) -> tuple[RawCase, ...]:
    """Pairs scans with label maps by name; does not check whether both files of a pair exist.

    Args:
        images: folder of the scans; if it does not exist, there are no scans.
        labels: folder of the label maps.
        needs_label: whether a scan without a label map is listed with the path of the missing file.
        channels: whether four digits at the end of a scan's name are always a channel, as in nnU-Net's folders; else
            they are a channel only if no label map has them.
        ending: file name extension of missing files.
    """
    truths: dict[str, list[Path]] = {}
    for file in nifti_files(labels) if labels.is_dir() else []:
        truths.setdefault(stem(file.name), []).append(file)
    scans: dict[str, list[Path]] = {}
    for file in nifti_files(images) if images.is_dir() else []:
        name = stem(file.name)
        split = None if name in truths else split_channel(name)
        # A case number may have four digits too: AMOS has amos_0001.nii.gz.
        is_channel = split is not None and (channels or split[0] in truths or split[1] == 0)
        scans.setdefault(split[0] if split is not None and is_channel else name, []).append(file)
    cases: list[RawCase] = []
    for name in sorted(scans.keys() | truths.keys()):
        files = scans.get(name, [images / f"{name}{FIRST_CHANNEL if channels else ''}{ending}"])
        broken = [] if len(files) == 1 else [several_images(files)]
        found = truths.get(name, [labels / f"{name}{ending}"] if needs_label else [])
        if len(found) > 1:
            named = joined_names(file.name for file in found)
            broken.append(f"expected one label map, got {len(found)} ({named}); leave one in the folder")
        cases.append(RawCase(files[0], found[0] if found else None, name, None, tuple(broken)))
    return tuple(cases)


def _both(root: Path, images: str, labels: str) -> bool:
    return (root / images).is_dir() and (root / labels).is_dir()
