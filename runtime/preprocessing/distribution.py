"""Distribution of a scan's values without its padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_HU = -1100.0  # no scanner measures less than air, except for noise: lower values are padding
_PADDING_GAP = 100.0  # between padding and the values of the image
_PADDING_SHARE = 0.02  # of the voxels; a lowest value with a smaller share is noise
_MOST_PADDING_VALUES = 8  # a scanner's, an archive's and a converter's, and some outliers
_NORMALISED_SPAN = 40.0  # widest span of values that are not HU; for these, -1000 is padding as well
_SATURATED_SHARE = 0.2  # of the voxels at the highest value, such as metal beyond the range of 12 bits


@dataclass(frozen=True, eq=False)
class Distribution:
    """Sampled values of a scan without padding, and the statistics that the intensity check needs.

    Attributes:
        values: [n] values of the sampled voxels, in any order.
        padded: whether padding was removed.
    """

    values: NDArray[np.float32]
    padded: bool

    @staticmethod
    def of(values: NDArray[np.float32], lowest: float = LOWEST_HU) -> Distribution:
        """Removes padding: values such as -2000, -3024 or -32768, far below all others or equal in many voxels.

        Args:
            values: [n] values of the sampled voxels.
            lowest: lowest value of the image itself, except for noise; 0 for MR.
        """
        padded = False
        for _ in range(_MOST_PADDING_VALUES):
            low = values.min()
            rest = values[values > low]
            if not rest.size:
                break
            gap = float(rest.min() - low)
            span = float(np.subtract(*np.percentile(rest, (99.9, 0.1))))
            apart = gap >= max(_PADDING_GAP, 0.1 * span)
            frequent = 1 - rest.size / values.size > _PADDING_SHARE
            normalised = low < 0 and gap > 2 * span and span < _NORMALISED_SPAN and bool(np.any(rest % 1))
            if not (normalised or (low < lowest and (apart or frequent))):
                break
            values, padded = rest, True
            if not apart:  # the image's own values follow, blended with the padding where it was resampled
                break
        return Distribution(values, padded)

    def share(self, low: float, high: float) -> float:
        """Returns the share of values between ``low`` and ``high``, from 0 to 1."""
        return float(np.mean((self.values > low) & (self.values < high)))

    def above(self, low: float) -> float:
        """Returns the share of values larger than ``low``."""
        return float(np.mean(self.values > low))

    def below(self, high: float) -> float:
        """Returns the share of values smaller than ``high``."""
        return float(np.mean(self.values < high))

    @property
    def floor(self) -> float | None:
        """The lowest value of the image if there was padding below it; None without padding."""
        return float(self.values.min()) if self.padded else None

    @property
    def has_fractions(self) -> bool:
        """Whether any value is not a whole number."""
        return bool(np.any(self.values != np.rint(self.values)))

    @property
    def unsaturated(self) -> Distribution:
        """The values without the highest one, if over 20 % of the voxels have that, as inside metal; else all."""
        lower = self.values[self.values < self.values.max()]
        saturated = 1 - lower.size / self.values.size > _SATURATED_SHARE
        return Distribution(lower, self.padded) if saturated and lower.size else self

    def percentiles(self, *percents: float) -> tuple[float, ...]:
        """Returns the percentiles of the values; ``percents`` are from 0 to 100."""
        return tuple(float(value) for value in np.percentile(self.values, percents))
