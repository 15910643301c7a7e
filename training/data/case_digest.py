"""Identifies a case by the content of its files (SHA-256)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...runtime.errors import InputError
from ...runtime.files.hashing import file_sha256
from ...runtime.shortage import raise_shortage
from .dataset import Case, Dataset
from .organ_masks import OrganMasks, truth_files

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class CaseDigest:
    """SHA-256 of a case's files, 64 hexadecimal digits each.

    Attributes:
        image: hash of the image file.
        label: hash of the label map, or over its masks per organ; empty without a label map.
        stamps: size in bytes and modification time in ns of each file before it was read.
        ignore: value of ignored voxels in the label map; None without an ignore label.
    """

    image: str
    label: str
    stamps: tuple[tuple[int, int], ...]
    ignore: int | None = None

    @staticmethod
    def of(case: Case) -> CaseDigest:
        """Reads a case's files and returns their hashes.

        Raises:
            InputError: a file cannot be read.
        """
        try:
            stamps = _stamps(case)
            return CaseDigest(file_sha256(case.image), _truth_sha256(case), stamps, case.ignore)
        except OSError as error:
            raise_shortage(error, f'case "{case.name}"')
            raise InputError(f'case "{case.name}": its files cannot be read: {error.strerror}') from None

    def check_unchanged(self, case: Case) -> None:
        """Checks by size and time that the files have not changed since they were hashed.

        Raises:
            InputError: a file has changed.
        """
        try:
            changed = _stamps(case) != self.stamps
        except OSError as error:
            raise_shortage(error, f'case "{case.name}"')
            changed = True
        if changed:
            raise InputError(f'case "{case.name}": its files changed while they were read; start again')


def digest_cases(cases: Sequence[Case], workers: int = 1) -> list[CaseDigest]:
    """Hashes the files of cases in ``workers`` threads.

    Raises:
        InputError: a file cannot be read.
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(CaseDigest.of, cases))


def possible_copies(images: Iterable[Path], known: Mapping[Path, str], workers: int = 1) -> dict[Path, str]:
    """Returns image → SHA-256 of its file, without images whose size no other one has: these have no copy.

    Args:
        images: image files that exist.
        known: image → SHA-256 of files that were hashed before; they are part of the result, and are not read again.
        workers: threads that hash the others.

    Raises:
        InputError: a file cannot be read.
    """
    sizes = {image: _of_scan(image, _size) for image in {*images, *known}}
    times = Counter(sizes.values())
    return hash_images((image for image in sizes if times[sizes[image]] > 1), known, workers)


def hash_images(images: Iterable[Path], known: Mapping[Path, str], workers: int = 1) -> dict[Path, str]:
    """Returns image → SHA-256 of its file; arguments and errors are as for `possible_copies`."""
    unknown = [*{*images} - known.keys()]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        found = pool.map(lambda image: _of_scan(image, file_sha256), unknown)
        return {**known, **dict(zip(unknown, found, strict=True))}


def _of_scan(image: Path, read: Callable[[Path], _Read]) -> _Read:
    try:
        return read(image)
    except OSError as error:
        raise_shortage(error, f'"{image.name}"')
        raise InputError(f'scans cannot be compared, "{image.name}" cannot be read: {error.strerror}') from None


def _size(image: Path) -> int:
    return image.stat().st_size


def cases_of_trainings(dataset: Dataset) -> tuple[Case, ...]:
    """Returns training and validation cases, each once: those that a training reads and records the `data_hash` of."""
    return tuple({case.name: case for case in (*dataset.training, *dataset.validation)}.values())


def data_hash(cases: Sequence[Case], digests: Sequence[CaseDigest]) -> str:
    """Returns a SHA-256 over the content of cases in the order of their names, independent of the files' paths."""
    total = hashlib.sha256()
    for _, digest in sorted(zip((case.name for case in cases), digests, strict=True), key=lambda pair: pair[0]):
        ignore = "" if digest.ignore is None else f"ignore {digest.ignore}\n"
        total.update(f"{digest.image}\n{digest.label}\n{ignore}".encode())
    return total.hexdigest()


def _truth_sha256(case: Case) -> str:
    """Returns the hash of the label map; for one mask per organ, a hash over the masks' hashes in label order."""
    hashes = [file_sha256(file) for file in truth_files(case.label)]
    if isinstance(case.label, OrganMasks):
        return hashlib.sha256("\n".join(("masks", *hashes)).encode()).hexdigest()
    return "".join(hashes)


def _stamps(case: Case) -> tuple[tuple[int, int], ...]:
    found = (path.stat() for path in (case.image, *truth_files(case.label)))
    return tuple((status.st_size, status.st_mtime_ns) for status in found)
