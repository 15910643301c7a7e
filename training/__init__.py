"""Training: data sets and phantoms, crops and augmentation, the fit loop, losses, metrics and checkpoints.

What `bedside.teacher.train_teacher` and `bedside.distill.distill` take and return can be imported from here. Importing
this package is light; torch is imported with the first name that needs it.
"""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from ..runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from .data.dataset import Case, Dataset, NoFoldError, load_dataset
    from .data.unlabelled import with_unlabelled
    from .loop.fit import FitResult
    from .loop.hardware import Hardware
    from .recipe import Augmentation, Recipe

__all__ = [
    "Augmentation",
    "Case",
    "Dataset",
    "FitResult",
    "Hardware",
    "NoFoldError",
    "Recipe",
    "load_dataset",
    "with_unlabelled",
]

_HOME = {
    "Augmentation": "recipe",
    "Case": "data.dataset",
    "Dataset": "data.dataset",
    "FitResult": "loop.fit",
    "Hardware": "loop.hardware",
    "NoFoldError": "data.dataset",
    "Recipe": "recipe",
    "load_dataset": "data.dataset",
    "with_unlabelled": "data.unlabelled",
}


__getattr__ = lazy_names(globals(), _HOME)


def ensure_user_name() -> None:
    """Sets ``$LOGNAME`` if the system has no account for the user, as in `docker run --user 12345`.

    Importing MONAI needs a user name.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python 3.13 raises OSError; ImportError: Windows
        os.environ["LOGNAME"] = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown"


ensure_user_name()  # before anything here imports MONAI
