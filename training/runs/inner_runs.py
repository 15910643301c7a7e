"""Finds the runs in a folder that was given in place of one of them, for a message."""

from __future__ import annotations

from pathlib import Path

from ...runtime.files.system_files import is_file
from ...runtime.scans.names import subfolders

RUN_CONFIG = "config.toml"
"""The file that marks a folder as a run directory."""


def run_advice(path: Path, commands: str) -> str:
    """Returns which run or bundle to give in place of a path that is neither, as the end of a message.

    Args:
        path: a file, a folder or neither; of a folder, the first run directly in it is named.
        commands: the commands whose ``--output`` is wanted, such as ``"train-teacher or distill"``.
    """
    try:
        runs = [folder.name for folder in subfolders(path) if is_file(folder / RUN_CONFIG)] if path.is_dir() else []
    except OSError:  # a folder that cannot be read: its runs are unknown
        runs = []
    if not runs:
        return f"give what was --output of {commands}"
    named = Path(path.name, runs[0]).as_posix()
    return f'give the run in it, "{named}"' + (f", or one of {len(runs) - 1} more" if runs[1:] else "")
