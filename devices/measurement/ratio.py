"""The ratio of two times that were measured in the same rounds, with an interval from the rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t by degrees of freedom, 1…30; above, the normal distribution's is close.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL95 = 1.960


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval; below 1 is faster.

    Attributes:
        value: geometric mean of the rounds' ratios.
        low: lower end of the interval; None with one round, which says nothing about noise.
        high: upper end of the interval; None with one round.
        rounds: number of rounds.
    """

    value: float
    low: float | None
    high: float | None
    rounds: int

    @property
    def is_noise(self) -> bool:
        """Whether no difference is shown: the interval holds 1, or there is no interval."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high


def paired_ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Compares times with a reference's, round by round, so that a drift of the machine touches both alike.

    The interval is Student's t of the mean logarithm of the rounds' ratios, transformed back: it assumes that those
    logarithms scatter about normally, and that what disturbs one round does not disturb the next.

    >>> ratio = paired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    >>> round(ratio.value, 6), round(ratio.low, 6), round(ratio.high, 6)
    (2.0, 2.0, 2.0)

    Args:
        times: a time for each round, above 0.
        reference: the reference's time in the same rounds, above 0.

    Raises:
        ValueError: there is no round, or the two have different numbers of rounds.
    """
    if not times or len(times) != len(reference):
        raise ValueError(f"expected times of the same rounds, got {len(times)} and {len(reference)}")
    logs = [math.log(time / other) for time, other in zip(times, reference, strict=True)]
    mean, count = sum(logs) / len(logs), len(logs)
    if count == 1:
        return Ratio(math.exp(mean), None, None, 1)
    deviation = math.sqrt(sum((each - mean) ** 2 for each in logs) / (count - 1))
    half = t_quantile(count - 1) * deviation / math.sqrt(count)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), count)


def unpaired_ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Compares times with a reference's that were measured at another time or on another machine.

    The interval is Welch's, of the difference of the mean logarithms. It covers the scatter of rounds only, no
    difference between days or machines.

    Args:
        times: a time for each round, above 0.
        reference: the reference's times, of any number of rounds.

    Raises:
        ValueError: one of them has no round.
    """
    if not times or not reference:
        raise ValueError("expected rounds of both, got none")
    logs = [[math.log(each) for each in group] for group in (times, reference)]
    means = [sum(group) / len(group) for group in logs]
    value, rounds = math.exp(means[0] - means[1]), min(len(times), len(reference))
    if rounds == 1:
        return Ratio(value, None, None, 1)
    errors = [
        sum((each - mean) ** 2 for each in group) / (len(group) - 1) / len(group)
        for group, mean in zip(logs, means, strict=True)
    ]
    total = sum(errors)
    if total == 0:
        return Ratio(value, value, value, rounds)
    degrees = total**2 / sum(error**2 / (len(group) - 1) for error, group in zip(errors, logs, strict=True))
    half = t_quantile(max(int(degrees), 1)) * math.sqrt(total)
    return Ratio(value, value * math.exp(-half), value * math.exp(half), rounds)


def t_quantile(degrees: int) -> float:
    """Returns the two-sided 95 % quantile of Student's t distribution.

    Args:
        degrees: degrees of freedom, from 1.
    """
    return _T95[degrees - 1] if degrees <= len(_T95) else _NORMAL95 + 2.4 / degrees


def spread(times: Sequence[float]) -> float | None:
    """Returns the standard deviation of rounds' times as a share of their mean; None with fewer than two rounds.

    >>> spread([9.0, 11.0])
    0.1414213562373095
    """
    if len(times) < 2:
        return None
    mean = sum(times) / len(times)
    return math.sqrt(sum((each - mean) ** 2 for each in times) / (len(times) - 1)) / mean
