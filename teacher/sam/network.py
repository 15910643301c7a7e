"""What the networks of all teachers around SAM share."""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

from torch import Tensor, nn

from ...runtime.axes import DHW
from ...runtime.errors import UsageError
from ..config import TeacherConfig
from ..parameters import count_parameters

_log = logging.getLogger(__name__)

Config = TypeVar("Config", bound=TeacherConfig)


class SamTeacher(nn.Module, Generic[Config]):
    """A network around SAM, for patches of one size.

    Args:
        config: options of the network; its checkpoint is not read.
        patch: voxels, as the configuration accepts them.

    Attributes:
        config: the options it was built from.
        patch: voxels of its input.
    """

    def __init__(self, config: Config, patch: DHW) -> None:
        super().__init__()
        self.config = config
        self.patch = patch

    def log_parameters(self) -> None:
        """Logs how many parameters train and how many are frozen; called when the network is complete."""
        counts = count_parameters(self, self.config.component)
        numbers = counts.total, counts.trainable, counts.frozen
        _log.info("%s: %s parameters, %s train, %s frozen", self.config.title, *(f"{number:,}" for number in numbers))

    def check_input(self, x: Tensor) -> None:
        """Checks that the input is a batch of patches ``[B, 1, D, H, W]``.

        Raises:
            UsageError: it is not, or the patches are not of the configured size.
        """
        if x.ndim != 5 or x.shape[1] != 1 or tuple(x.shape[2:]) != self.patch:
            expected = "×".join(str(size) for size in self.patch)
            raise UsageError(f"teacher input: expected [B, 1, {expected}], got {list(x.shape)}; cut into patches")
