"""The roofline model (Williams, Waterman and Patterson 2009): predicts the time of a window from a data sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...runtime.engines.engine import Precision
from ...runtime.errors import UsageError
from ..hardware.device_profile import DeviceProfile, PowerMode, Processor
from .costs import ModelCost, NodeCost

USABLE_COMPUTE = 0.5
"""Share of the peak that layers reach, assumed and not measured: large products reach more, narrow ones far less."""

USABLE_BANDWIDTH = 0.75
"""Share of the memory bandwidth that a copy reaches, assumed and not measured."""

FACTOR = 2.0
"""A data sheet predicts times within about this factor, each way."""

_FLOATS: dict[Precision, Precision] = {"int8": "fp32", "uint8": "fp32", "int8-fp16": "fp16", "int8-bf16": "bf16"}
_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


@dataclass(frozen=True)
class Interval:
    """A predicted figure.

    Attributes:
        low: lower end.
        predicted: the prediction itself.
        high: upper end.
    """

    low: float
    predicted: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Returns the interval of this figure times a factor."""
        return Interval(self.low * factor, self.predicted * factor, self.high * factor)

    @classmethod
    def within_factor(cls, predicted: float, factor: float = FACTOR) -> Interval:
        """Returns the interval that reaches a factor down and up."""
        return cls(predicted / factor, predicted, predicted * factor)


@dataclass(frozen=True)
class Roofline:
    """The limits of a processor in one precision.

    Attributes:
        peaks: number format → usable operations per second.
        bandwidth: usable bytes per second.
        precision: the variant's precision.
    """

    peaks: dict[str, float]
    bandwidth: float
    precision: Precision

    def node_seconds(self, node: NodeCost) -> float:
        """Returns the time of one node: that of its operations or of its bytes, whichever is longer."""
        kind = self._format(node)
        moved = 0 if node.fused else node.read + node.written
        return max(node.operations / self.peaks[kind], (moved + node.parameters) * _BYTES[kind] / self.bandwidth)

    def window_seconds(self, cost: ModelCost) -> Interval:
        """Returns the time of a window: the sum over its nodes, within a factor of two."""
        return Interval.within_factor(sum(map(self.node_seconds, cost.nodes)))

    def _format(self, node: NodeCost) -> str:
        return "int8" if node.quantized and quantized_format(self.precision) else float_format(self.precision)


def quantized_format(precision: Precision) -> Literal["int8", "uint8"] | None:
    """Returns the form of a variant's quantized layers; None where it has none."""
    if precision == "uint8":
        return "uint8"
    return "int8" if precision.startswith("int8") else None


def float_format(precision: Precision) -> Precision:
    """Returns the number format of a variant's layers that are not quantized."""
    return _FLOATS.get(precision, precision)


def activation_bytes(cost: ModelCost, precision: Precision) -> int:
    """Returns the bytes of activations alive at once in a precision; those of quantized layers count as floats."""
    return cost.peak_values * _BYTES[float_format(precision)]


def formats(precision: Precision) -> list[str]:
    """Returns the number formats that a variant computes in (``int8-fp16`` → ``int8``, ``fp16``)."""
    return list(dict.fromkeys(("int8", float_format(precision)) if quantized_format(precision) else (precision,)))


@dataclass(frozen=True)
class OperatingPoint:
    """How fast a device runs: its power mode and clock.

    Attributes:
        mode: the power mode; None where the profile has none.
        clock_mhz: the processors' clock that the user gave; None for that of the mode.
    """

    mode: PowerMode | None
    clock_mhz: float | None = None

    @property
    def watts(self) -> float | None:
        """The most that the device takes; None where unknown, as at a clock above that of the power mode."""
        if self.mode is None or self.mode.watts is None or self.doubt:
            return None
        return self.mode.watts.value

    @property
    def doubt(self) -> str:
        """Why the device may take more than the watts of its power mode, as a sentence; empty where it does not."""
        own = None if self.mode is None else self.mode.clock_mhz
        if self.mode is None or own is None or self.clock_mhz is None or self.clock_mhz <= own.value:
            return ""
        return (
            f"clock: {self.clock_mhz:g} MHz is above the {own.value:g} MHz of mode {self.mode.name}: the device may "
            "take more than the watts of this mode; so no energy"
        )

    def check(self, profile: DeviceProfile) -> None:
        """Checks that a processor of the device reaches the clock.

        Raises:
            UsageError: all are slower.
        """
        if self.clock_mhz is None:
            return
        clocks = [each.clock_mhz.value for each in profile.processors if each.clock_mhz is not None]
        if clocks and len(clocks) == len(profile.processors) and self.clock_mhz > max(clocks):
            raise UsageError(
                f"clock: {profile.title} reaches {max(clocks):g} MHz by its profile, got {self.clock_mhz:g} MHz"
            )

    def roofline(self, profile: DeviceProfile, processor: Processor, precision: Precision) -> Roofline | str:
        """Returns the limits of a processor at this point, or the reason, as a sentence, why they are not known."""
        missing = [kind for kind in formats(precision) if kind not in processor.peak_tops]
        if missing:
            return f"the profile has no {' and no '.join(missing)} speed of the {processor.name}"
        bandwidth = profile.bandwidth_gb_s
        if self.mode is not None and self.mode.bandwidth_gb_s is not None:
            bandwidth = self.mode.bandwidth_gb_s
        if bandwidth is None:
            return "the profile has no memory bandwidth"
        share = self._clock_share(processor)
        if isinstance(share, str):
            return share
        peaks = {kind: processor.peak_tops[kind].value * 1e12 * share * USABLE_COMPUTE for kind in formats(precision)}
        return Roofline(peaks, bandwidth.value * 1e9 * USABLE_BANDWIDTH, precision)

    def _clock_share(self, processor: Processor) -> float | str:
        """Returns the speed as a share of the peaks, by the clock and the units that are on, or why it is not known."""
        active = 1.0 if self.mode is None or self.mode.active_share is None else self.mode.active_share.value
        clock = self.clock_mhz
        if clock is None:
            if self.mode is None or self.mode.at_peak:
                return active
            if self.mode.clock_mhz is None:
                return f"the profile has no clock of the {processor.name} in mode {self.mode.name}; give it by --clock"
            clock = self.mode.clock_mhz.value
        if processor.clock_mhz is None:
            return f"the profile does not say at which clock the figures of the {processor.name} hold"
        if clock > processor.clock_mhz.value:
            return f"the {processor.name} reaches {processor.clock_mhz.value:g} MHz by the profile, not {clock:g} MHz"
        return active * clock / processor.clock_mhz.value
