"""Reads what `bedside benchmark --json` measured, where it was measured on the device that is planned for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from ...runtime.axes import XYZ
from ...runtime.engines import CPU, Precision
from ...runtime.errors import InputError, UsageError
from ...runtime.files.text import read_utf8
from ..device_profile import DeviceProfile
from ..report import check_schema
from .planned_model import PlannedModel
from .prediction import Place
from .roofline import Interval

_GPU_PROVIDERS = ("CUDA", "TensorRT")  # ONNX Runtime's names of the GPU
_Milliseconds = Annotated[float, msgspec.Meta(gt=0)]


class _Window(msgspec.Struct):
    mean_ms: _Milliseconds
    p50_ms: _Milliseconds
    p99_ms: _Milliseconds


class _Variant(msgspec.Struct):
    engine: str
    precision: Precision
    device: str
    window: _Window
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


class _Cpu(msgspec.Struct):
    model: str


class _Host(msgspec.Struct):
    cpu: _Cpu
    profile: str | None


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


def measured_windows(
    path: Path, profile: DeviceProfile, models: Sequence[PlannedModel], threads: int | None = None
) -> dict[Place, Interval]:
    """Returns the measured seconds of a window; of several GPUs those of the fastest, which ``auto`` takes too.

    Args:
        path: JSON file that `bedside benchmark --json` printed.
        profile: the device that is planned for.
        models: the models; measurements do not say which of several they belong to.
        threads: threads of the engine that are planned; None for those of the file.

    Raises:
        UsageError: there are several models.
        InputError: the file is no such file, is of another schema version, device, task or bundle, of several bundles
            or numbers of threads, of other threads or processors than the plan, or was measured with ``--as``.
    """
    if len(models) != 1:
        raise UsageError(f"measured: expected one bundle, the one that was measured; got {len(models)} models")
    named = f'measurements "{path.name}"'
    content = read_utf8(path, named)
    try:
        check_schema(content, named)
        report = msgspec.json.decode(content, type=_Benchmark)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{named}: expected what bedside benchmark --json prints; {error}") from None
    task, host = models[0].task, report.host
    if (report.task, report.patch) != (task.name, task.patch):
        raise InputError(
            f'{named}: of task "{report.task}" with windows {report.patch}, the bundle has "{task.name}" {task.patch}'
        )
    if not profile.could_be(host.profile, host.cpu.model):
        raise InputError(f'{named}: measured on {host.profile or host.cpu.model}, the plan is for "{profile.key}"')
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
    times: dict[Place, Interval] = {}
    for variant in sorted(variants, key=lambda each: each.window.mean_ms):
        times.setdefault(variant.place, variant.seconds)
    return times
