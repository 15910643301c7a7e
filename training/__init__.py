"""Training: data sets and phantoms, crops and augmentation, the fit loop, losses, metrics and checkpoints."""

from __future__ import annotations

import getpass
import os


def ensure_user_name() -> None:
    """Sets ``$LOGNAME`` if the system has no account for the user, as in `docker run --user 12345`.

    Importing MONAI needs a user name.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python 3.13 raises OSError; ImportError: Windows
        os.environ["LOGNAME"] = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown"


ensure_user_name()  # before anything here imports MONAI
