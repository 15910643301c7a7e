"""Names a user without an account, as in `docker run --user 12345`: importing MONAI needs a user name."""

from __future__ import annotations

import getpass
import os


def ensure_user_name() -> None:
    """Sets ``$LOGNAME`` for this process and its children if the system has no account for the user."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python 3.13 raises OSError; ImportError: Windows
        os.environ["LOGNAME"] = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown"
