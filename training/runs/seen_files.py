"""Which files of scans networks have learned from, or were chosen by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ...runtime.engines import default_threads
from ...runtime.errors import ExitCode, InputError
from ...runtime.scans.folder_walk import walk_folder
from ...runtime.scans.names import has_nifti_ending
from ..data.case_digest import hash_images
from .held_out import Networks


class SeenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a network has seen.

    Attributes:
        file: its path, below the folder that was asked for; where several paths were, with that folder's.
        taught: names of the networks that learned from it, directly or through what taught them.
        chose: names of the networks whose best epoch it helped to choose, or that of what taught them.
    """

    file: str
    taught: tuple[str, ...] = ()
    chose: tuple[str, ...] = ()


class SeenFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What networks have seen of some files.

    Attributes:
        files: number of files that were compared.
        networks: names of the networks.
        seen: the files that one of them has seen.
        incomplete: names of the networks that do not record every scan: they may have seen others too.
    """

    files: int
    networks: tuple[str, ...]
    seen: tuple[SeenFile, ...] = ()
    incomplete: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """6 where a file was seen, or where that is not known; else 0."""
        return ExitCode.REVIEW if self.seen or self.incomplete else ExitCode.OK


def find_seen(paths: Sequence[Path], networks: Networks) -> SeenFiles:
    """Compares files with the scans that networks record, by content; a scan that was saved anew is another file.

    Args:
        paths: files, and folders of whose NIfTI files, in subfolders too, all are compared, label maps with them.
        networks: name of each network, and what it learned from.

    Raises:
        InputError: a path does not exist, a folder holds no NIfTI file, or a file cannot be read.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    files = {file: name if len(paths) == 1 else _within(path, name) for path in paths for name, file in _files(path)}
    hashes = hash_images(files, {}, default_threads())
    seen: list[SeenFile] = []
    for file, name in files.items():
        taught = tuple(network for network, learned in networks if hashes[file] in learned.scans)
        chose = tuple(network for network, learned in networks if hashes[file] in learned.validation_scans)
        if taught or chose:
            seen.append(SeenFile(file=name, taught=taught, chose=chose))
    return SeenFiles(
        files=len(files),
        networks=tuple(name for name, _ in networks),
        seen=tuple(seen),
        incomplete=tuple(name for name, learned in networks if not learned.knows_all),
    )


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yields (name for people, file) of a file, or of the NIfTI files in a folder and below it."""
    if not path.is_dir():
        if not path.exists():
            raise InputError(f'"{path.name}" does not exist; expected a scan, or a folder with NIfTI files')
        yield path.name, path
        return

    def refuse(error: OSError) -> None:
        raise InputError(f'"{Path(os.fsdecode(error.filename)).name}" cannot be read: {error.strerror}')

    found = [file for folder in walk_folder(path, refuse) for file in _scans(folder)]
    if not found:
        raise InputError(f'"{path.name}" holds no NIfTI file; records of networks name no scans of other formats')
    for file in found:
        yield file.relative_to(path).as_posix(), file


def _within(path: Path, name: str) -> str:
    """Returns a file's name with that of the folder, as it was given."""
    return (path / name).as_posix() if path.is_dir() else path.as_posix()


def _scans(files: Iterable[Path]) -> Iterator[Path]:
    return (file for file in files if has_nifti_ending(file.name) and not file.name.startswith("."))
