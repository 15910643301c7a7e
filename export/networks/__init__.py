"""Networks that bedside did not train, made ready for `export_bundle`: a callable of torch, MONAI bundles, nnU-Net v2.

Each becomes a `TrainedStudent`: network, task and facts about its origin. Files of others are read as data; no code
and no expression in them is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from .monai_bundle import open_monai_bundle
    from .nnunet import open_nnunet
    from .own_network import open_network

__all__ = ["open_monai_bundle", "open_network", "open_nnunet"]

_HOME = {"open_monai_bundle": "monai_bundle", "open_network": "own_network", "open_nnunet": "nnunet"}

__getattr__ = lazy_names(globals(), _HOME)
