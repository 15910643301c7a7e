"""The results of planning: frozen records, ready for JSON. Memory is in bytes; field names give units of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...runtime.axes import XYZ
from ...runtime.engines.engine import Precision
from .roofline import Interval

Tier = Literal["data sheet", "probed", "measured"]


@dataclass(frozen=True)
class Limits:
    """What a scan may take; None sets no limit.

    Attributes:
        seconds: time of the network for a scan, in s.
        memory: bytes.
        power: watts.
        usable_memory: bytes of the device's memory that firmware and system surely leave; above it, what fits is in
            doubt. None where the memory is unknown.
    """

    seconds: float | None = None
    memory: int | None = None
    power: float | None = None
    usable_memory: int | None = None


@dataclass(frozen=True)
class Option:
    """A way to run a model on the device, with what it is predicted to need.

    Attributes:
        model: name of the bundle or student.
        engine: row of the engine table.
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8``, ``uint8``, ``int8-fp16`` or ``int8-bf16``.
        processor: the part of the device that runs it.
        overlap: fraction of a window shared with the next.
        is_usual_overlap: whether it is the one that the model recommends.
        patch: voxels of one window.
        windows: windows of the scan, none left out as air.
        gflop: operations of a window's convolutions and matrix products, 10⁹.
        tier: where the time comes from.
        window_seconds: time of one window, in s.
        seconds: time of the scan's windows, in s: of the network alone.
        memory: bytes of the process, without Python and the engine's own libraries.
        joules: energy of the network, in J: ``seconds`` times the power mode's full power; None where the watts are
            unknown, or where nobody knows that the time is of this power mode.
        other_seconds: time of all that is not the network (reading, resampling, blending, writing), in s: that of the
            scan of the benchmark on this device, by the number of voxels; None where it was not measured.
        other_scale: voxels of the planned scan, as a multiple of those of that scan; None likewise.
        dice: mean Dice; None where it was not measured.
        dice_of: the scans that it is of: a bundle's gate cases, or a data set; empty where it was not measured.
        exclusions: why it does not fit, as sentences; empty where it fits.
        doubts: which limits may be missed within the interval, as sentences.
        on_front: whether no other option that fits is at least as good in everything and better in something.
    """

    model: str
    engine: str
    precision: Precision
    processor: str
    overlap: float
    is_usual_overlap: bool
    patch: XYZ
    windows: int
    gflop: float
    tier: Tier
    window_seconds: Interval
    seconds: Interval
    memory: Interval
    joules: Interval | None
    dice: float | None
    dice_of: str = ""
    other_seconds: float | None = None
    other_scale: float | None = None
    exclusions: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    on_front: bool = False

    @property
    def name(self) -> str:
        """Model, engine, precision and overlap, for people."""
        return f"{self.model}, {self.engine} {self.precision}, overlap {self.overlap:g}"


@dataclass(frozen=True)
class Unplanned:
    """A variant that cannot be predicted or run, and why, as a sentence."""

    model: str
    engine: str
    precision: str
    reason: str


@dataclass(frozen=True)
class PlanReport:
    """What was planned.

    Attributes:
        bedside_version: version of this package.
        device: key of the device's profile.
        title: the device's name for people.
        power_mode: name of the power mode; empty where the profile has none.
        clock_mhz: the processors' clock that was given; None for that of the power mode.
        watts: the most that the device takes in the power mode, at this clock; None where unknown.
        scan: voxels of the scan.
        spacing: (x, y, z) mm of the scan.
        limits: the limits given; ``memory`` is the device's own where none was given.
        options: every option that was predicted, the fastest first.
        unplanned: variants that cannot be predicted or run.
        recommended: the option to choose; None where none fits.
        reason: why this one, and what is not known of the accuracy, as a sentence; empty where none fits.
        unproven: sentences that say what the figures do not include, or assume.
        sources: the sources of the profile's figures that were used.
    """

    bedside_version: str
    device: str
    title: str
    power_mode: str
    clock_mhz: float | None
    watts: float | None
    scan: XYZ
    spacing: tuple[float, float, float]
    limits: Limits
    options: tuple[Option, ...]
    unplanned: tuple[Unplanned, ...]
    recommended: Option | None
    reason: str
    unproven: tuple[str, ...]
    sources: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain dicts, lists, strings and numbers, ready for JSON."""
        import msgspec

        return msgspec.to_builtins(self)
