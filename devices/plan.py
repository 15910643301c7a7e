"""Predicts what bundles, or students before their training, need on a device that need not be there."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..runtime import arguments
from ..runtime.axes import XYZ
from ..runtime.errors import UsageError
from .hardware.device_profile import LEAST_TOTAL, DeviceProfile, PowerMode, load_profile

if TYPE_CHECKING:
    from .planner.measured_machine import MeasuredMachine
    from .planner.planned_model import PlannedModel
    from .planner.report import Limits, Option, PlanReport, Tier
    from .probe.results import Probe

SCAN = XYZ(512, 512, 400)
"""Voxels of the scan that is planned where none is given: an abdomen."""

SPACING = (0.8, 0.8, 1.0)
"""Spacing of that scan, in mm."""

_DAY = 86_400.0  # s
_MEMORY = (2**20, 2**44)  # bytes: 1 MiB, 16 TiB
_POWER = (0.1, 10_000.0)  # W
_LARGEST_SCALE = 8  # of voxels of two scans, up to which the time of all but the network is by their number


def plan(
    models: Sequence[str | os.PathLike[str] | PlannedModel],
    device: str | os.PathLike[str] | DeviceProfile,
    *,
    seconds: float | None = None,
    memory: int | None = None,
    power: float | None = None,
    shape: Sequence[int] = SCAN,
    spacing: Sequence[float] = SPACING,
    overlaps: Sequence[float] = (),
    clock_mhz: float | None = None,
    measured: str | os.PathLike[str] | None = None,
    probe: str | os.PathLike[str] | Probe | None = None,
    threads: int | None = None,
) -> PlanReport:
    """Predicts time, memory and energy of a scan for every model, engine, precision and overlap on a device.

    Times are those of the network alone: predicted by the roofline model from the device's data sheet within about a
    factor of two, predicted from a probe of the device, or measured.

    Args:
        models: bundles (directory or zip), or models that are planned before any training; all of one modality and with
            the same organs, because the plan chooses one of them.
        device: key of a profile, the path of one (``.toml``), or a profile.
        seconds: the most time that the network may take for a scan, in s; None sets no limit, here and below.
        memory: the most bytes that the process may take; None for the device's memory.
        power: the most watts that the device may take; its power mode is chosen by it.
        shape: (x, y, z) voxels of the scan.
        spacing: (x, y, z) mm of the scan.
        overlaps: overlaps of windows to predict; empty for the one that each model recommends.
        clock_mhz: clock of the processors; None for that of the power mode. Above this, the plan gives no energy.
        measured: JSON file of `bedside benchmark --json` on this device with the only bundle of ``models``; its times
            replace predictions.
        probe: file that `bedside devices probe` wrote on this device, or what `read_probe` returned; it predicts the
            times of its engines and precisions on the processor that it probed.
        threads: threads of the engine, one of the probe's numbers; None for the most.

    Raises:
        UsageError: an argument is out of range, no processor reaches the clock, two models cannot stand in for each
            other, no device has this key, or its profile cannot answer.
        InputError: a profile, a probe or a file of measurements is refused.
        BundleError: a bundle is damaged, or its operations cannot be counted.
        MissingExtraError: `onnx` is not installed (extra ``plan``).
    """
    from ..runtime.scans.planned_scan import PlannedScan
    from .planner.choice import judged, reason_of_choice, recommended, with_front
    from .planner.measured import read_measured
    from .planner.planned_model import alternatives
    from .planner.prediction import OptionPredictor
    from .planner.report import Option, PlanReport, Unplanned
    from .planner.roofline import OperatingPoint

    given = arguments.sequence("models", models, "a list of bundles")
    if not given:
        arguments.refuse("models", "at least one bundle", models)
    profile = device if isinstance(device, DeviceProfile) else load_profile(device)
    limits = _limits(seconds, memory, power, profile)
    shares = arguments.sequence("overlaps", overlaps, "a list of numbers")
    shares = sorted({arguments.overlap_share("overlap", share) for share in shares})
    clock = arguments.optional(_between, "clock_mhz", clock_mhz, low=1.0, high=1e5, unit="MHz")
    point = OperatingPoint(_power_mode(profile, limits.power), clock)
    point.check(profile)
    scan = PlannedScan(XYZ(*arguments.dhw("shape", shape)), arguments.millimetres("spacing", spacing))
    planned = alternatives([_planned(model) for model in given])
    probed = _probed(probe, threads)
    path = arguments.optional(arguments.path, "measured", measured)
    times = None if path is None else read_measured(path, profile, point, planned, threads)
    machines: dict[Tier, MeasuredMachine] = {} if times is None else {"measured": times.machine}
    if probed is not None:
        machines["probed"] = _machine(probed)
        machines["probed"].check(profile, point)
    elsewhere: frozenset[Tier] = frozenset(
        tier for tier, machine in machines.items() if not machine.is_at(profile, point)
    )
    windows = {} if times is None else times.windows
    predictor = OptionPredictor(profile, point, scan, shares, limits.memory, windows, probed, threads, elsewhere)
    found = [each for model in planned for each in predictor.predictions(model)]
    voxels = math.prod(scan.grid.shape)
    options = with_front([judged(each, limits, voxels) for each in found if isinstance(each, Option)])
    options = tuple(sorted(options, key=lambda option: option.seconds.predicted))
    return PlanReport(
        bedside_version=__version__,
        device=profile.key,
        title=profile.title,
        power_mode="" if point.mode is None else point.mode.name,
        clock_mhz=point.clock_mhz,
        watts=point.watts,
        scan=scan.grid.shape,
        spacing=scan.grid.spacing,
        limits=limits,
        options=options,
        unplanned=tuple(each for each in found if isinstance(each, Unplanned)),
        recommended=recommended(options),
        reason=reason_of_choice(options),
        unproven=(
            *_unproven(options),
            *filter(None, [point.doubt]),
            *_unproven_times(options, elsewhere, [machine.doubt(profile) for machine in machines.values()]),
            *_remarks(planned),
        ),
        sources=tuple(f"{place}: {profile.sources[each.source]}" for place, each in profile.figures.items()),
    )


def _probed(probe: Any, threads: Any) -> Probe | None:
    """Returns the probe, checked to have the threads."""
    from .probe.results import Probe, read_probe

    if probe is None:
        if threads is not None:
            raise UsageError("threads: a number of threads goes with a probe, which was timed with it")
        return None
    given = probe if isinstance(probe, Probe) else read_probe(arguments.path("probe", probe))
    counts = sorted({each.threads for each in given.series})
    if threads is not None and threads not in counts:
        raise UsageError(f"threads: the probe has {', '.join(map(str, counts))}, got {threads}")
    return given


def _machine(probe: Probe) -> MeasuredMachine:
    from .planner.measured_machine import MeasuredMachine

    host = probe.host
    return MeasuredMachine("probe", host.cpu, host.profile, host.board, host.power_mode)


def _limits(seconds: Any, memory: Any, power: Any, profile: DeviceProfile) -> Limits:
    from .planner.report import Limits

    own = None if profile.memory_gb is None else int(profile.memory_gb.value * 1e9)
    given = arguments.optional(_between, "memory", memory, low=_MEMORY[0], high=_MEMORY[1], unit="bytes")
    if given is not None and own is not None and given > own:
        raise UsageError(f"memory: {profile.title} has {own / 1e9:g} GB, got a limit of {given / 1e9:g} GB")
    return Limits(
        arguments.optional(_between, "budget", seconds, low=1e-3, high=_DAY, unit="s"),
        own if given is None else int(given),
        arguments.optional(_between, "power", power, low=_POWER[0], high=_POWER[1], unit="W"),
        None if own is None else int(LEAST_TOTAL * own),
    )


def _between(name: str, value: Any, low: float, high: float, unit: str) -> float:
    return arguments.number(name, value, f"{low:g} to {high:g} {unit}", lambda number: low <= number <= high)


def _power_mode(profile: DeviceProfile, power: float | None) -> PowerMode | None:
    """Returns the mode with most watts within a limit; without one, the mode in which the peaks hold."""
    if power is None:
        return next((mode for mode in profile.power_modes if mode.at_peak), None)
    limited = [(mode, mode.watts.value) for mode in profile.power_modes if mode.watts is not None]
    if not limited:
        raise UsageError(f'power: the profile "{profile.key}" has no watts, so a limit cannot be compared with them')
    within = [mode for mode, watts in limited if watts <= power]
    if not within:
        least = limited[0][1]
        raise UsageError(f"power: {profile.title} takes {least:g} W in its lowest mode, got a limit of {power:g} W")
    return within[-1]


def _planned(model: Any) -> PlannedModel:
    from ..runtime.bundles.bundle import Bundle
    from .planner.planned_model import PlannedModel, model_of_bundle

    if isinstance(model, PlannedModel):
        return model
    with Bundle.open(arguments.path("models", model)) as bundle:
        return model_of_bundle(bundle)


def _unproven(options: Sequence[Option]) -> Iterator[str]:
    """Yields what the figures of all tiers assume or leave out."""
    from .planner.choice import shown_seconds
    from .planner.roofline import USABLE_BANDWIDTH, USABLE_COMPUTE

    yield (
        "time: of the network alone, no window left out as air; reading, resampling, blending, writing and starting "
        "each layer come on top"
    )
    others = [option.other_seconds for option in options if option.other_seconds is not None]
    if others:
        yield (
            f"time: all but the network takes about {shown_seconds(max(others))} more, by the scan of the benchmark "
            "and the number of voxels"
        )
    if (scale := max((option.other_scale or 0.0 for option in options), default=0.0)) > _LARGEST_SCALE:
        yield (
            f"time: the planned scan has {scale:,.0f} times the voxels of the benchmark's, and what every scan costs, "
            "whatever its size, is counted as often; benchmark one of its size, with --input"
        )
    yield "memory: without Python, the engine's own libraries and other programs"
    if any(option.tier == "data sheet" for option in options):
        yield (
            f"data sheet: assumes {USABLE_COMPUTE:.0%} of peak speed and {USABLE_BANDWIDTH:.0%} of bandwidth; within "
            "about a factor of two each way, not measured on this device; engines on one processor look the same"
        )
    if any(option.joules is not None for option in options):
        yield "energy: of the network, as if it took the full watts of the power mode all the time; it may take less"
    scans = sorted({option.dice_of for option in options if option.dice_of})
    if len(scans) > 1:
        yield f"Dice: of different scans ({', '.join(scans)}), so it is not compared"


def _unproven_times(options: Sequence[Option], elsewhere: Collection[Tier], doubts: Sequence[str]) -> Iterator[str]:
    """Yields what probed and measured times assume.

    Args:
        options: the options.
        elsewhere: tiers whose times may be of another power mode or clock.
        doubts: that a machine may not be the device; empty texts where it is.
    """
    if any(option.tier == "probed" for option in options):
        yield (
            "probed: from kernels timed on this device, with what ran beside them then; the interval is that within "
            "which the probe's kernels predict each other"
        )
    for tier in sorted({option.tier for option in options} & set(elsewhere)):
        yield f"{tier}: at the clock and in the power mode of that time, perhaps not those of this plan; so no energy"
    yield from filter(None, doubts)


def _remarks(models: Sequence[PlannedModel]) -> Iterator[str]:
    """Yields what is assumed of models."""
    for remark in dict.fromkeys(model.remark for model in models if model.remark):
        yield f"{', '.join(model.name for model in models if model.remark == remark)}: {remark}"
