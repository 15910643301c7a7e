"""Reads what `bedside benchmark --json` measured, where it was measured on the device that is planned for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from ...runtime.axes import XYZ
from ...runtime.engines import CPU, Precision
from ...runtime.errors import InputError, UsageError
from ..hardware.device_profile import DeviceProfile
from ..measurement.report import read_printed
from .measured_machine import MeasuredMachine
from .planned_model import PlannedModel
from .prediction import Place, WindowTime
from .roofline import Interval, OperatingPoint

_GPU_PROVIDERS = ("CUDA", "TensorRT")  # ONNX Runtime's names of the GPU
_NETWORK = "infer"  # the stage of a scan
_Milliseconds = Annotated[float, msgspec.Meta(gt=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Voxels = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class _Window(msgspec.Struct):
    mean_ms: _Milliseconds
    p50_ms: _Milliseconds
    p99_ms: _Milliseconds


class _EndToEnd(msgspec.Struct):
    shape: tuple[_Voxels, _Voxels, _Voxels]
    stages: dict[str, _Seconds]
    total_s: _Seconds


class _Variant(msgspec.Struct):
    engine: str
    precision: Precision
    device: str
    window: _Window
    end_to_end: _EndToEnd | None = None
    threads: int | None = None
    bundle: int | None = 0

    @property
    def place(self) -> Place:
        """Where it ran, by the processor's name in profiles: CUDA and ``GPU.1`` are the GPU."""
        family = self.device.partition(".")[0]
        return Place("GPU" if family in _GPU_PROVIDERS else family, self.engine, self.precision)

    @property
    def seconds(self) -> Interval:
        """The time of a window: median … mean … 99th percentile."""
        mean, median, late = (ms / 1000 for ms in (self.window.mean_ms, self.window.p50_ms, self.window.p99_ms))
        return Interval(min(median, mean), mean, max(late, mean))

    @property
    def other_seconds_per_voxel(self) -> float | None:
        """Time of the scan without that of the network, in s per voxel; None where no scan was measured."""
        whole = self.end_to_end
        if whole is None or _NETWORK not in whole.stages:
            return None
        return max(0.0, whole.total_s - whole.stages[_NETWORK]) / math.prod(whole.shape)


class _Cpu(msgspec.Struct):
    model: str


class _Jetson(msgspec.Struct):
    model: str = ""
    power_mode: str = ""


class _Host(msgspec.Struct):
    cpu: _Cpu
    profile: str | None
    jetson: _Jetson | None = None


class _Bundle(msgspec.Struct):
    name: str
    sha256: str


class _Benchmark(msgspec.Struct):  # of `BenchmarkReport`, what a plan needs
    task: str
    patch: XYZ
    host: _Host
    variants: tuple[_Variant, ...]
    bundles: tuple[_Bundle, ...] = ()
    imposed: object | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured: the times of a window, and the machine."""

    windows: Mapping[Place, WindowTime]
    machine: MeasuredMachine


def read_measured(
    path: Path,
    profile: DeviceProfile,
    point: OperatingPoint,
    models: Sequence[PlannedModel],
    threads: int | None = None,
) -> Measured:
    """Returns the measured times of a window; of several GPUs those of the fastest, which ``auto`` takes too.

    A device with several measurements, as of several overlaps, has their mean, within the ends of all.

    Args:
        path: JSON file that `bedside benchmark --json` printed.
        profile: the device that is planned for.
        point: its power mode.
        models: the models; measurements do not say which of several they belong to.
        threads: threads of the engine that are planned; None for those of the file.

    Raises:
        UsageError: there are several models.
        InputError: the file is no such file, is of another schema version, device, power mode, task or bundle, of
            several bundles or numbers of threads, of other threads or processors than the plan, or was measured with
            ``--as``.
    """
    if len(models) != 1:
        raise UsageError(f"measured: expected one bundle, the one that was measured; got {len(models)} models")
    named = f'measurements "{path.name}"'
    report = read_printed(path, named, _Benchmark)
    task, host = models[0].task, report.host
    if (report.task, report.patch) != (task.name, task.patch):
        raise InputError(
            f'{named}: of task "{report.task}" with windows {report.patch}, the bundle has "{task.name}" {task.patch}'
        )
    jetson = host.jetson or _Jetson()
    machine = MeasuredMachine(named, host.cpu.model, host.profile, jetson.model, jetson.power_mode)
    machine.check(profile, point)
    variants = [variant for variant in report.variants if variant.bundle is not None]  # others are no bundle's
    if len(report.bundles) > 1 or len({variant.threads for variant in variants}) > 1:
        raise InputError(f"{named}: expected one bundle with one number of threads; measure it by itself")
    for bundle in report.bundles:
        if bundle.sha256 != models[0].sha256:
            raise InputError(f'{named}: of another bundle, "{bundle.name}"; measure this one')
    if report.imposed is not None:
        raise InputError(f"{named}: measured with --as, which is not true to speed; measure on the device")
    used = {variant.threads for variant in variants if variant.device == CPU} - {None}
    if threads is not None and used - {threads}:
        raise InputError(f"{named}: measured with {used.pop()} threads, the plan is for {threads}")
    processors = [each.name for each in profile.processors]
    if not any(variant.place.processor in processors for variant in variants):
        devices = ", ".join(dict.fromkeys(variant.device for variant in variants)) or "no device"
        wanted = " or ".join(processors) or "no processor"
        raise InputError(f'{named}: measured on {devices}, the plan for "{profile.key}" is of {wanted}; measure there')
    return Measured(_fastest(variants), machine)


def _fastest(variants: Sequence[_Variant]) -> dict[Place, WindowTime]:
    """Returns the times of each place, on the fastest of its devices."""
    measured: dict[tuple[Place, str], list[_Variant]] = {}
    for variant in variants:
        measured.setdefault((variant.place, variant.device), []).append(variant)
    times: dict[Place, WindowTime] = {}
    for (place, _), group in measured.items():
        time = _together(group)
        if place not in times or time.seconds.predicted < times[place].seconds.predicted:
            times[place] = time
    return times


def _together(variants: Sequence[_Variant]) -> WindowTime:
    """Returns the time of a window, of all measurements of one device."""
    seconds = [variant.seconds for variant in variants]
    others = [
        (each, math.prod(variant.end_to_end.shape))
        for variant in variants
        if variant.end_to_end is not None and (each := variant.other_seconds_per_voxel) is not None
    ]
    per_voxel, voxels = max(others, default=(None, 0))
    mean = sum(each.predicted / len(seconds) for each in seconds)
    window = Interval(min(each.low for each in seconds), mean, max(each.high for each in seconds))
    return WindowTime("measured", window, per_voxel, voxels)
