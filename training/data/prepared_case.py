"""A preprocessed case, stored as a folder of memory-mapped arrays: the same input that a device gives the network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError
from ...runtime.preprocessing.plausibility import patch_warnings, without_patch_warnings
from ...runtime.shortage import raise_shortage
from ...runtime.task import Task
from .ignore_label import IGNORED
from .load_case import LabelMap

_CENTRES_PER_CLASS = 20_000  # crop centres stored per class: enough variety, about one megabyte per case
_IMAGE, _LABELS, _CENTRES, _FACTS = "image.npy", "labels.npy", "centres.npy", "case.json"


@dataclass(frozen=True)
class PreparedCase:
    """One case on the task's grid.

    Attributes:
        name: name of the case in the data set.
        folder: folder of its arrays.
        spacing: (x, y, z) in mm.
        counts: label → number of voxels on the task's grid, for the labels that occur.
        warnings: unusual findings about the scan, as the runtime reports them, whatever the task's patch; see
            `warnings_for`.
        centre_counts: label → number of stored crop centres.
        task: name of the task it was prepared for; tasks with the same preprocessing may share it.
        ignored: number of voxels that loss and scores leave out; they are `IGNORED` in the label map.
        labelled: whether it has a label map; without one, every voxel is ignored.
        centres_file: file of the crop centres; None: the case's own, around the true labels.
        scan: file of the scan that it was prepared from; None where nobody named it.
    """

    name: str
    folder: Path
    spacing: tuple[float, float, float]
    counts: dict[int, int]
    warnings: tuple[str, ...]
    centre_counts: dict[int, int]
    task: str
    ignored: int = 0
    labelled: bool = True
    centres_file: Path | None = None
    scan: Path | None = None

    def image(self) -> NDArray[np.float32]:
        """Returns the normalised image ``[D, H, W]``, memory-mapped."""
        return open_array(self.folder / _IMAGE)

    def labels(self) -> LabelMap:
        """Returns the label map ``[D, H, W]``, memory-mapped; `IGNORED` everywhere in a case without labels."""
        if not self.labelled:
            return np.broadcast_to(np.uint16(IGNORED), self.image().shape)
        return open_array(self.folder / _LABELS)

    def ignored_voxels(self) -> NDArray[np.bool_] | None:
        """Returns a mask ``[D, H, W]`` of the voxels that loss and scores leave out; None without such voxels."""
        return np.asarray(self.labels() == IGNORED) if self.ignored else None

    def organs(self) -> LabelMap:
        """Returns the label map ``[D, H, W]`` for display, with ignored voxels shown as background."""
        labels, ignored = self.labels(), self.ignored_voxels()
        return labels if ignored is None else np.where(ignored, np.uint16(0), labels)

    def all_centres(self) -> NDArray[np.signedinteger[Any]]:
        """Returns the flat indices of all crop centres, memory-mapped, by label in the order of `centre_counts`."""
        return open_array(self.centres_file or self.folder / _CENTRES)

    def centres(self, label: int) -> NDArray[np.signedinteger[Any]]:
        """Returns the flat indices of the crop centres of a label (0: voxels of the body outside every organ)."""
        return self.all_centres()[self.centre_range(label)]

    def centre_range(self, label: int) -> slice:
        """Returns the slice of a label's centres in `all_centres`; empty for a label that does not occur."""
        start = 0
        for other, count in self.centre_counts.items():
            if other == label:
                return slice(start, start + count)
            start += count
        return slice(0, 0)

    def warnings_for(self, task: Task) -> tuple[str, ...]:
        """Returns the findings about the scan, that about the patch of a task that it is prepared for among them.

        Raises:
            InputError: the image is missing or damaged.
        """
        return (*self.warnings, *patch_warnings(self.image().shape[::-1], self.spacing, task))

    def with_centres(self, file: Path, counts: dict[int, int], centre_counts: dict[int, int]) -> PreparedCase:
        """Returns the case with crop centres around organs that another source found, such as a teacher.

        Args:
            file: file of the centres, flat indices of voxels, by label in the order of ``centre_counts``.
            counts: label → number of voxels of the organ.
            centre_counts: label → number of its centres.
        """
        return replace(self, centres_file=file, counts=counts, centre_counts=centre_counts)

    @property
    def present(self) -> tuple[int, ...]:
        """The labels above 0 that occur in the case."""
        return tuple(label for label in self.counts if label > 0)

    @classmethod
    def open(cls, folder: Path, name: str | None = None, scan: Path | None = None) -> PreparedCase:
        """Opens a folder written by `write_arrays`; checks the sizes of its files without reading them.

        Args:
            folder: folder of the case.
            name: name of the case in the data set; None uses the folder's name.
            scan: file of the scan that it was prepared from, if a teacher may have to prepare it otherwise.

        Raises:
            InputError: the folder is missing or damaged.
            ResourceError: file descriptors ran out, or the disk failed.
        """
        try:
            facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
            sizes = {file: (folder / file).stat().st_size for file in facts.files}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise_shortage(error, f"prepared case {folder.name}")
            raise InputError(f"prepared case {folder.name}: cannot be read ({error}); delete its folder") from None
        for file, expected in facts.files.items():
            if sizes[file] != expected:
                raise InputError(
                    f"prepared case {folder.name}: expected {expected:,} bytes in {file}, got {sizes[file]:,}; "
                    "delete its folder"
                )
        return cls(
            name or folder.name,
            folder,
            facts.spacing,
            facts.counts,
            without_patch_warnings(facts.warnings),  # cases of version 0.1 hold that of the first task's patch
            facts.centres,
            facts.task,
            facts.ignored,
            labelled=_LABELS in facts.files,
            scan=scan,
        )


class _Facts(msgspec.Struct, frozen=True):
    """The content of ``case.json``: the case's figures, and the size in bytes of every file beside it."""

    spacing: tuple[float, float, float]
    counts: dict[int, int]
    centres: dict[int, int]
    warnings: tuple[str, ...]
    files: dict[str, int]
    task: str = ""  # empty in cases written before this field existed
    ignored: int = 0


def open_array(file: Path) -> NDArray[Any]:
    """Opens an array file memory-mapped.

    Raises:
        InputError: the file is missing or damaged.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:  # the last two of a damaged header
        raise_shortage(error, f"{file.parent.name}/{file.name}")
        raise InputError(
            f"{file.parent.name}/{file.name} is missing or damaged; start again, with --resume if the run exists"
        ) from None


def write_arrays(
    folder: Path,
    image: NDArray[np.float32],
    labels: LabelMap | None,
    body: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    warnings: tuple[str, ...],
    task: str,
    *,
    has_ignored: bool = False,
) -> None:
    """Writes a case into an existing folder.

    Args:
        folder: empty folder.
        image: normalised image ``[D, H, W]``.
        labels: label map ``[D, H, W]``; None for a case without labels.
        body: mask of the body ``[D, H, W]``.
        spacing: (x, y, z) in mm.
        warnings: findings about the scan; those that hold for every patch are stored with the case.
        task: name of the task.
        has_ignored: whether `IGNORED` in ``labels`` marks voxels that loss and scores leave out.
    """
    np.save(folder / _IMAGE, image)
    if labels is None:
        counts, ignored = dict[int, int](), image.size
        centres = choose_centres(np.zeros(image.shape, np.uint8), body, counts)
    else:
        np.save(folder / _LABELS, labels)
        counts = label_counts(labels)
        ignored = counts.pop(IGNORED, 0) if has_ignored else 0
        centres = choose_centres(labels, body, counts)
    np.save(folder / _CENTRES, np.concatenate(list(centres.values())))
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    kept = {label: len(flat) for label, flat in centres.items()}
    facts = _Facts(spacing, counts, kept, without_patch_warnings(warnings), sizes, task, ignored)
    (folder / _FACTS).write_bytes(msgspec.json.encode(facts))


def label_counts(labels: LabelMap) -> dict[int, int]:
    """Returns label → number of voxels, for the labels that occur in a label map ``[D, H, W]``.

    >>> label_counts(np.array([[[0, 2, 2]]], np.uint8))
    {0: 1, 2: 2}
    """
    highest = int(labels.max())
    # Plane by plane, because bincount converts to eight bytes per voxel.
    total = sum(np.bincount(plane.ravel(), minlength=highest + 1) for plane in labels)
    return {label: int(count) for label, count in enumerate(np.asarray(total)) if count}


def choose_centres(
    labels: LabelMap, body: NDArray[np.bool_], counts: dict[int, int]
) -> dict[int, NDArray[np.signedinteger[Any]]]:
    """Returns label → flat indices of crop centres, a random choice of its voxels; for label 0, of the body's.

    Args:
        labels: label map ``[D, H, W]``.
        body: mask ``[D, H, W]`` of the body.
        counts: label → number of voxels, see `label_counts`.
    """
    dtype = np.int32 if labels.size <= np.iinfo(np.int32).max else np.int64
    flat = labels.reshape(-1)
    labelled = np.flatnonzero(flat)
    labelled = labelled[np.argsort(flat[labelled], kind="stable")]
    found = {0: np.flatnonzero((flat == 0) & body.reshape(-1))}
    start = 0
    for label in sorted(set(counts) - {0}):
        found[label] = labelled[start : start + counts[label]]
        start += counts[label]
    return {label: _some(indices, label).astype(dtype) for label, indices in found.items()}


def _some(indices: NDArray[np.intp], label: int) -> NDArray[np.intp]:
    """Returns at most `_CENTRES_PER_CLASS` of the indices, drawn at random with the label as seed."""
    if indices.size <= _CENTRES_PER_CLASS:
        return indices
    return np.random.default_rng(label).choice(indices, _CENTRES_PER_CLASS, replace=False)
