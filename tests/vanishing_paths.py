"""Lists folders whose files may vanish meanwhile, which `Path.rglob` does not survive."""

import os
from pathlib import Path


def paths_in(folder):
    """Returns all paths in a folder and below it."""
    return {Path(where, name) for where, folders, files in os.walk(folder) for name in (*folders, *files)}
