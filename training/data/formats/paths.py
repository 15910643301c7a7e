"""Resolves the paths in lists to files, and collects the errors of those that cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....runtime.files.text import native_name
from ....runtime.scans.names import FIRST_CHANNEL, has_nifti_ending, nifti_files, split_channel, stem
from .listing import ONE_CHANNEL, RawCase, several_images

_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


@dataclass(frozen=True)
class Paths:
    """Rules for the paths of a layout.

    Attributes:
        root: absolute folder that paths are relative to.
        stays_inside: whether paths must stay inside this folder.
        expands: whether ``${NAME}`` in a path is an environment variable, as in nnU-Net's lists.
    """

    root: Path
    stays_inside: bool = False
    expands: bool = False

    def case(self, images: Sequence[str], label: str | None, *, name: str = "", fold: int | None = None) -> RawCase:
        """Returns a case with resolved paths; errors are added to its ``broken``."""
        broken = [] if len(images) == 1 else [f"expected one image channel, got {len(images)}; {ONE_CHANNEL}"]
        image = self._at(images[0] if images else "", broken)
        if not image.is_file() and (channels := _channels(image)):
            # nnU-Net v1 lists la_000.nii.gz and stores la_000_0000.nii.gz, one file per channel.
            name, image = name or stem(image.name), channels[0]
            if len(channels) > 1:
                broken.append(several_images(channels))
        truth = self._at(label, broken) if label else None
        return RawCase(image, truth, name, fold, tuple(dict.fromkeys(broken)))

    def _at(self, listed: str, broken: list[str]) -> Path:
        if self.expands:
            unset = [found for found in _VARIABLE.findall(listed) if found.strip("{}") not in os.environ]
            if unset:
                variable = unset[0].strip("{}")
                broken.append(
                    f"its path names the environment variable {variable}, which is not set; "
                    f"set it (export {variable}=FOLDER) or list the path without it"
                )
            listed = os.path.expandvars(listed)
        listed = native_name(listed)
        # Compared without following links, because data sets are often trees of symbolic links.
        path = self.root / os.path.normpath(listed)
        if self.stays_inside and not (path.is_relative_to(self.root) and ".." not in path.parts):
            broken.append(
                "its path leaves the data set's folder; move or link the file into the folder, or list the cases in a "
                "MONAI data list, which may name any path (docs/data.md)"
            )
        return path


def _channels(image: Path) -> list[Path]:
    """Returns the files ``case_0000``, ``case_0001`` … of a listed ``case``, if the first one exists."""
    case = stem(image.name)
    ending = image.name[len(case) :]
    if not has_nifti_ending(image.name) or not image.with_name(f"{case}{FIRST_CHANNEL}{ending}").is_file():
        return []
    found = ((split_channel(stem(file.name)), file) for file in nifti_files(image.parent))
    return [file for split, file in found if split is not None and split[0] == case]
