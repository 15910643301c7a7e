"""Stores soft labels, a teacher's class probabilities of a case, compactly and memory-mapped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError
from ...runtime.files.hashing import file_sha256
from ...runtime.labels.probabilities import LEVELS
from ...runtime.shortage import raise_shortage
from .prepared_case import choose_centres, label_counts, open_array

_EDGE = 16  # voxels; a block of one class is then one memory page of 4096 bytes
_TABLE, _BLOCKS, _CENTRES, _FACTS = "table.npy", "blocks.npy", "centres.npy", "soft_labels.json"


@dataclass(frozen=True)
class SoftLabels:
    """The soft labels of a case.

    Probabilities are rounded to 1/255 and cut into blocks of 16³ voxels per class. Blocks that are zero everywhere are
    not stored: an organ fills a small part of a scan. Background is not stored either, it is what the others leave.

    Attributes:
        shape: (D, H, W) of the case, in voxels.
        counts: label → number of voxels in which the class is the most probable one, for labels that occur.
        centre_counts: label → number of stored crop centres; empty if none were asked for.
        folder: folder of the arrays.
    """

    shape: tuple[int, int, int]
    counts: dict[int, int]
    centre_counts: dict[int, int]
    folder: Path

    @classmethod
    def open(cls, folder: Path) -> SoftLabels:
        """Opens a folder written by `write_soft_labels`; verifies the content of its files.

        Raises:
            InputError: the folder is missing or damaged.
            ResourceError: file descriptors ran out, or the disk failed.
        """
        try:
            facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
            damaged = [file for file, expected in facts.files.items() if file_sha256(folder / file) != expected]
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise_shortage(error, f"soft labels {folder.name}")
            raise InputError(f"soft labels {folder.name}: cannot be read ({error}); delete the folder") from None
        if damaged:
            raise InputError(f"soft labels {folder.name}: {damaged[0]} is damaged; delete the folder")
        return cls(facts.shape, facts.counts, facts.centres, folder)

    @property
    def centres_file(self) -> Path:
        """File of the crop centres, flat indices of voxels, by label in the order of `centre_counts`."""
        return self.folder / _CENTRES

    def arrays(self) -> SoftLabelArrays:
        """Opens the arrays, memory-mapped.

        Raises:
            InputError: a file is missing or damaged.
        """
        table = np.array(open_array(self.folder / _TABLE))  # small: read, so that one file less stays open
        return SoftLabelArrays(table, open_array(self.folder / _BLOCKS), self.shape)


@dataclass(frozen=True)
class SoftLabelArrays:
    """The open arrays of soft labels.

    Attributes:
        table: row in ``blocks`` for each class above 0 and each block, ``[C − 1, D/16, H/16, W/16]`` rounded up; row 0
            is the block of zeros.
        blocks: the blocks, ``[N, 16, 16, 16]``, in units of 1/255.
        shape: (D, H, W) of the case.
    """

    table: NDArray[np.int32]
    blocks: NDArray[np.uint8]
    shape: tuple[int, int, int]

    def __getitem__(self, box: Sequence[slice]) -> NDArray[np.uint8]:
        """Returns the probabilities of all classes in a box, ``[C, d, h, w]`` in units of 1/255; they sum to 255.

        Args:
            box: a slice per axis (D, H, W) with a start and a stop inside the case.
        """
        first = [part.start // _EDGE for part in box]
        last = [-(-part.stop // _EDGE) for part in box]
        rows = self.table[(slice(None), *(slice(*ends) for ends in zip(first, last, strict=True)))]
        classes, depth, height, width = rows.shape
        # [C, D/16, H/16, W/16, 16, 16, 16] → [C, D, H, W]
        joined = self.blocks[rows].transpose(0, 1, 4, 2, 5, 3, 6)
        joined = joined.reshape(classes, depth * _EDGE, height * _EDGE, width * _EDGE)
        starts = [part.start - block * _EDGE for part, block in zip(box, first, strict=True)]
        cut = joined[
            (slice(None), *(slice(at, at + part.stop - part.start) for at, part in zip(starts, box, strict=True)))
        ]
        result = np.empty((classes + 1, *cut.shape[1:]), np.uint8)
        result[1:] = cut
        result[0] = LEVELS - cut.sum(axis=0, dtype=np.uint16)
        return result

    def whole(self) -> NDArray[np.uint8]:
        """Returns the probabilities of the whole case, ``[C, D, H, W]`` in units of 1/255."""
        return self[[slice(0, edge) for edge in self.shape]]


class _Facts(msgspec.Struct, frozen=True):
    """The content of ``soft_labels.json``: figures of the case, and the SHA-256 of every file beside it."""

    shape: tuple[int, int, int]
    counts: dict[int, int]
    centres: dict[int, int]
    files: dict[str, str]


def quantized(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Rounds probabilities ``[C, D, H, W]`` to units of 1/255 such that each voxel's sum is 255.

    Each is off by less than one unit, however many classes there are: where rounding to the nearest unit gives another
    sum, those that it lowered (or raised) most are rounded up (or down) instead, the largest-remainder method.

    >>> quantized(np.array([0.3, 0.3, 0.4]).reshape(3, 1, 1, 1)).ravel().tolist()
    [77, 76, 102]
    """
    result = np.empty(probabilities.shape, np.uint8)
    for plane in range(probabilities.shape[1]):  # one after the other, for little memory
        result[:, plane] = _quantized(probabilities[:, plane])
    return result


def _quantized(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    scaled = np.asarray(probabilities, np.float32) * LEVELS
    result = np.rint(scaled).astype(np.uint8)
    excess = result.sum(axis=0, dtype=np.int32) - LEVELS
    wrong = excess != 0
    if wrong.any():
        nearest, excess = result[:, wrong].astype(np.int16), excess[wrong]
        ranks = (nearest - scaled[:, wrong]).argsort(axis=0, kind="stable").argsort(axis=0)  # 0: lowered most
        result[:, wrong] = nearest + (ranks < -excess) - (ranks >= len(nearest) - excess)
    return result


def write_soft_labels(
    folder: Path, probabilities: NDArray[np.floating], *, body: NDArray[np.signedinteger[Any]] | None = None
) -> None:
    """Writes soft labels into an existing folder.

    Args:
        folder: empty folder.
        probabilities: class probabilities ``[C, D, H, W]``, background first.
        body: flat indices of voxels of the body, to store crop centres around the organs found and in other tissue;
            None stores no centres, as a case with labels has its own.
    """
    levels = quantized(probabilities)
    shape = (int(levels.shape[1]), int(levels.shape[2]), int(levels.shape[3]))
    table, blocks = _in_blocks(levels[1:])
    np.save(folder / _TABLE, table)
    np.save(folder / _BLOCKS, blocks)
    labels = levels.argmax(axis=0).astype(np.uint16)
    counts = label_counts(labels)
    centres: dict[int, NDArray[np.signedinteger[Any]]] = {}
    if body is not None:
        centres = choose_centres(labels, np.zeros(shape, np.bool_), counts)
        centres[0] = body[labels.reshape(-1)[body] == 0]
        np.save(folder / _CENTRES, np.concatenate(list(centres.values())))
    files = {file.name: file_sha256(file) for file in folder.iterdir()}
    facts = _Facts(shape, counts, {label: len(flat) for label, flat in centres.items()}, files)
    (folder / _FACTS).write_bytes(msgspec.json.encode(facts))


def _in_blocks(levels: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Returns table and blocks (see `SoftLabelArrays`) of the classes above 0, ``[C − 1, D, H, W]``."""
    classes, *shape = levels.shape
    numbers = [math.ceil(edge / _EDGE) for edge in shape]
    padded = np.pad(levels, [(0, 0), *((0, n * _EDGE - edge) for n, edge in zip(numbers, shape, strict=True))])
    depth, height, width = numbers
    cut = padded.reshape(classes, depth, _EDGE, height, _EDGE, width, _EDGE).transpose(0, 1, 3, 5, 2, 4, 6)
    stored = cut.any(axis=(4, 5, 6))
    table = np.zeros(stored.shape, np.int32)
    table[stored] = np.arange(1, int(stored.sum()) + 1)
    zeros = np.zeros((1, _EDGE, _EDGE, _EDGE), np.uint8)
    return table, np.concatenate([zeros, cut[stored]])


def expected_bytes(labels: NDArray[np.integer]) -> int:
    """Estimates the bytes of soft labels from the true labels ``[D, H, W]`` of the case.

    A teacher's probabilities reach beyond an organ's border; the estimate is twice the blocks that the organs touch.
    """
    blocks = 0
    for label in np.unique(labels[labels > 0]):
        _, stored = _in_blocks((labels == label)[None].astype(np.uint8))
        blocks += len(stored) - 1
    return 2 * blocks * _EDGE**3
