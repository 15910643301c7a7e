"""What a case is by content: SHA-256 of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ...runtime.errors import InputError
from ...runtime.files.hashing import file_sha256
from .dataset import Case
from .organ_masks import OrganMasks, truth_files


@dataclass(frozen=True)
class CaseDigest:
    """SHA-256 of a case's files, 64 hexadecimal digits each.

    Attributes:
        image: of the image file.
        label: of the label map, or over its organs' masks; empty without one.
        stamps: size in bytes and time in ns of each file before it was read.
        ignore: the value of the label map's voxels that take no part; None where there is none.
    """

    image: str
    label: str
    stamps: tuple[tuple[int, int], ...]
    ignore: int | None = None

    @staticmethod
    def of(case: Case) -> CaseDigest:
        """Reads a case's files.

        Raises:
            InputError: one cannot be read.
        """
        try:
            stamps = _stamps(case)
            return CaseDigest(file_sha256(case.image), _truth_sha256(case), stamps, case.ignore)
        except OSError as error:
            raise InputError(f'case "{case.name}": its files cannot be read: {error.strerror}') from None

    def refuse_changed(self, case: Case) -> None:
        """Checks that nobody wrote to the files since they were hashed.

        Raises:
            InputError: somebody did.
        """
        try:
            changed = _stamps(case) != self.stamps
        except OSError:
            changed = True
        if changed:
            raise InputError(f'case "{case.name}": its files changed while they were read; start again')


def digest_cases(cases: Sequence[Case], workers: int = 1) -> list[CaseDigest]:
    """Reads the files of cases, in ``workers`` threads.

    Raises:
        InputError: a file cannot be read.
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(CaseDigest.of, cases))


def data_hash(cases: Sequence[Case], digests: Sequence[CaseDigest]) -> str:
    """Returns a SHA-256 over the content of cases, in the order of their names, independent of where they lie."""
    total = hashlib.sha256()
    for _, digest in sorted(zip((case.name for case in cases), digests, strict=True), key=lambda pair: pair[0]):
        ignore = "" if digest.ignore is None else f"ignore {digest.ignore}\n"
        total.update(f"{digest.image}\n{digest.label}\n{ignore}".encode())
    return total.hexdigest()


def _truth_sha256(case: Case) -> str:
    """Returns the label map's hash; of one mask per organ, a hash over theirs in the order of the labels."""
    hashes = [file_sha256(file) for file in truth_files(case.label)]
    if isinstance(case.label, OrganMasks):
        return hashlib.sha256("\n".join(("masks", *hashes)).encode()).hexdigest()
    return "".join(hashes)


def _stamps(case: Case) -> tuple[tuple[int, int], ...]:
    found = (path.stat() for path in (case.image, *truth_files(case.label)))
    return tuple((status.st_size, status.st_mtime_ns) for status in found)
