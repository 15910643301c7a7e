"""How the values of a scan are distributed, once its padding is taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_HU = -1100.0  # no scanner measures less than air, but for noise: what is below is padding
_PADDING_GAP = 100.0  # between padding and the values of the image
_PADDING_SHARE = 0.02  # of the voxels; fewer at the lowest value are noise
_MOST_PADDING_VALUES = 8  # a scanner's, an archive's and a converter's, and some outliers
_NORMALISED_SPAN = 40.0  # of values that are no HU, for which -1000 is padding as well
_SATURATED_SHARE = 0.2  # of the voxels at the highest value: metal beyond the range of 12 bits


@dataclass(frozen=True, eq=False)
class Distribution:
    """Values without padding, and what share of them lies where.

    Attributes:
        values: of the sampled voxels, any order.
        padded: whether padding was taken off.
    """

    values: NDArray[np.float32]
    padded: bool

    @staticmethod
    def of(values: NDArray[np.float32], lowest: float = LOWEST_HU) -> Distribution:
        """Takes off padding: values such as -2000, -3024 or -32768, apart from all others or the same in many voxels.

        Args:
            values: of the sampled voxels.
            lowest: no value of the image itself is lower, but for noise; 0 for MR.
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
        """Returns what share of the values lies between two others."""
        return float(np.mean((self.values > low) & (self.values < high)))

    def above(self, low: float) -> float:
        """Returns what share of the values is larger."""
        return float(np.mean(self.values > low))

    def below(self, high: float) -> float:
        """Returns what share of the values is smaller."""
        return float(np.mean(self.values < high))

    @property
    def floor(self) -> float | None:
        """The lowest value of the image where padding lies below it; None without padding."""
        return float(self.values.min()) if self.padded else None

    @property
    def has_fractions(self) -> bool:
        """Whether any value is no whole number."""
        return bool(np.any(self.values != np.rint(self.values)))

    @property
    def unsaturated(self) -> Distribution:
        """The values below the highest one, where a large part of the voxels has that, as inside metal; else all."""
        lower = self.values[self.values < self.values.max()]
        saturated = 1 - lower.size / self.values.size > _SATURATED_SHARE
        return Distribution(lower, self.padded) if saturated and lower.size else self

    def percentiles(self, *percents: float) -> tuple[float, ...]:
        """Returns percentiles of the values."""
        return tuple(float(value) for value in np.percentile(self.values, percents))
