"""Predicts what one model needs on one device, for every engine, precision and overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...runtime.engines import CPU, ENGINES, Precision
from ...runtime.execution_plan import ExecutionPlan, best_plan
from ...runtime.request import SegmentationRequest
from ...runtime.scans.planned_scan import PlannedScan
from ..hardware.device_profile import DeviceProfile, Processor
from ..probe.results import Probe
from .engine_memory import engine_memory
from .planned_model import PlannedModel, PlannedVariant
from .probed import probed_speed
from .report import Option, Tier, Unplanned
from .roofline import Interval, OperatingPoint, float_format, quantized_format

_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class WindowTime:
    """The time of one window, in s, and where it comes from.

    Attributes:
        tier: where it comes from.
        seconds: the time.
        other_seconds_per_voxel: of the scan that was measured with it, all that is not the network, by its voxels; None
            where none was measured.
        other_voxels: voxels of that scan.
    """

    tier: Tier
    seconds: Interval
    other_seconds_per_voxel: float | None = None
    other_voxels: int = 0


@dataclass(frozen=True)
class Place:
    """Where and how a model runs."""

    processor: str
    engine: str
    precision: Precision


@dataclass(frozen=True)
class OptionPredictor:
    """Predicts the options of one model after the other, with all that they share in a plan.

    Attributes:
        profile: the device.
        point: its power mode and clock.
        scan: the scan.
        overlaps: overlaps of windows; empty for the one that each model recommends.
        memory: bytes that the process may take; None for no limit.
        measured: times of a window that `bedside benchmark` measured on this device.
        probe: kernels timed on this device; None where it was not probed.
        threads: threads of the engine, one of the probe's numbers; None for the most.
        without_energy: tiers whose times may be of another power mode or clock, so that the watts are not theirs.
    """

    profile: DeviceProfile
    point: OperatingPoint
    scan: PlannedScan
    overlaps: Sequence[float]
    memory: int | None
    measured: Mapping[Place, WindowTime]
    probe: Probe | None = None
    threads: int | None = None
    without_energy: frozenset[Tier] = frozenset()

    def predictions(self, model: PlannedModel) -> Iterator[Option | Unplanned]:
        """Yields every option of a model on this device, and each variant that cannot be predicted."""
        for processor in self.profile.processors:
            for (engine, precision), variant in model.variants.items():
                if engine not in processor.engines:
                    continue
                window = self._window(processor, engine, precision, variant)
                if isinstance(window, str) or isinstance(variant, str):
                    yield Unplanned(model.name, engine, precision, str(window))
                    continue
                for overlap in self.overlaps or (model.overlap,):
                    yield self._option(model, variant, window, Place(processor.name, engine, precision), overlap)
            for unknown in (engine for engine in processor.engines if engine not in ENGINES):
                yield Unplanned(model.name, unknown, "", f"no engine of this name here; expected {', '.join(ENGINES)}")
        if not any(processor.engines for processor in self.profile.processors):
            yield Unplanned(model.name, "any engine", "", "the profile names no processor on which bedside runs")

    def _window(
        self, processor: Processor, engine: str, precision: Precision, variant: PlannedVariant | str
    ) -> WindowTime | str:
        """Returns the time of a window, or why there is none, as a sentence."""
        if isinstance(variant, str):
            return variant
        measured = self.measured.get(Place(processor.name, engine, precision))
        if measured is not None:
            return measured
        probed = self._probed_seconds(processor, engine, precision, variant)
        if isinstance(probed, Interval):
            return WindowTime("probed", probed)
        in_floats = (processor.name, engine, quantized_format(precision)) == (CPU, "onnxruntime", "int8")
        roofline = self.point.roofline(self.profile, processor, float_format(precision) if in_floats else precision)
        if isinstance(roofline, str):
            return roofline if probed is None else f"{probed}; {roofline}"
        cost = variant.cost.in_floats() if in_floats else variant.cost
        return WindowTime("data sheet", roofline.window_seconds(cost))

    def _probed_seconds(
        self, processor: Processor, engine: str, precision: Precision, variant: PlannedVariant
    ) -> Interval | str | None:
        """Returns the time of a window by the probe, or why it does not tell it; None without a probe."""
        if self.probe is None or processor.name != CPU:
            return None
        speed = probed_speed(self.probe, engine, precision, self.threads)
        return speed if isinstance(speed, str) else speed.window_seconds(variant.cost)

    def _option(
        self, model: PlannedModel, variant: PlannedVariant, window: WindowTime, place: Place, overlap: float
    ) -> Option:
        engine = engine_memory(variant, place.engine, place.precision)
        plan = self._execution_plan(model, overlap, engine.predicted)
        count = len(plan.windows)
        seconds = window.seconds.scaled(count)
        watts = None if window.tier in self.without_energy else self.point.watts
        per_voxel, voxels = window.other_seconds_per_voxel, math.prod(self.scan.grid.shape)
        return Option(
            model=model.name,
            engine=place.engine,
            precision=place.precision,
            processor=place.processor,
            overlap=overlap,
            is_usual_overlap=overlap == model.overlap,
            patch=model.task.patch,
            windows=count,
            gflop=variant.cost.flops / 1e9,
            tier=window.tier,
            window_seconds=window.seconds,
            seconds=seconds,
            memory=Interval(engine.low + plan.bytes, engine.predicted + plan.bytes, engine.high + plan.bytes),
            joules=None if watts is None else seconds.scaled(watts),
            other_seconds=None if per_voxel is None else per_voxel * voxels,
            other_scale=voxels / window.other_voxels if window.other_voxels else None,
            dice=variant.dice,
            dice_of="" if variant.dice is None else model.dice_of or f"unknown scans of {model.name}",
        )

    def _execution_plan(self, model: PlannedModel, overlap: float, engine_bytes: float) -> ExecutionPlan:
        """Returns what the runtime would hold of the scan in the memory that the engine leaves."""
        request = SegmentationRequest(self.scan, model.task, overlap, postprocessing=model.postprocessing)
        available = _NO_LIMIT if self.memory is None else max(0, self.memory - int(engine_bytes))
        return best_plan(request, 1, available)
