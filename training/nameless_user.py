"""Users without a name, as `docker run --user 12345` makes them: MONAI asks for it when it is imported."""

from __future__ import annotations

import getpass
import os


def name_the_nameless() -> None:
    """Gives a user whom the system does not know a name in this process and its children, in ``$LOGNAME``."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python 3.13 raises OSError; ImportError: Windows
        os.environ["LOGNAME"] = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown"
