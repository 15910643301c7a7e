"""Known devices and the published figures that a planner uses, each with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceProfile:
    """One device. None means that there is no trustworthy figure, not that it is zero.

    Attributes:
        key: short name, as given on the command line.
        title: name for people.
        memory_gb: memory in GB, shared by CPU and GPU on a Jetson.
        bandwidth_gb_s: memory bandwidth, GB/s.
        int8_tops: dense INT8 operations, 10¹²/s. Module figures include the DLA, which these graphs may not use;
            ``gpu_only`` marks figures of the GPU alone.
        fp16_tflops: dense FP16 operations of the GPU, 10¹²/s, approximate.
        gemm_gflops: measured float32 matrix product of the CPU, 10⁹/s.
        gpu_only: ``int8_tops`` counts the GPU alone.
        model: part of the device tree's model name; empty where the device has none.
        is_super: whether the figures hold for NVIDIA's raised "Super" clocks.
        source: source of the figures.
    """

    key: str
    title: str
    memory_gb: float
    bandwidth_gb_s: float | None
    int8_tops: float | None = None
    fp16_tflops: float | None = None
    gemm_gflops: float | None = None
    gpu_only: bool = False
    model: str = ""
    is_super: bool = False
    source: str = ""


_NANO = "NVIDIA data sheet DS-11105-001 (Jetson Orin Nano)"
_NX = "NVIDIA data sheet DS-10712-001 (Jetson Orin NX)"
_AGX = "NVIDIA data sheet DS-10662-001 (Jetson AGX Orin)"
_SECONDARY = "secondary sources, not a data sheet"

_ORIN_NANO, _ORIN_NX, _AGX_ORIN, _XAVIER_NX = "Orin Nano", "Orin NX", "AGX Orin", "Xavier NX"

_PROFILES = (
    DeviceProfile("orin-nano-4", "Jetson Orin Nano 4 GB", 4, 34, 10, 5, model=_ORIN_NANO, source=_NANO),
    DeviceProfile("orin-nano-8", "Jetson Orin Nano 8 GB", 8, 68, 20, 10, model=_ORIN_NANO, source=_NANO),
    DeviceProfile(
        "orin-nano-8-super", "Jetson Orin Nano 8 GB Super", 8, 102, 33, 17, model=_ORIN_NANO, is_super=True,
        source=_NANO,
    ),
    DeviceProfile("orin-nx-8", "Jetson Orin NX 8 GB", 8, 102, 35, 12.5, model=_ORIN_NX, source=_NX),
    DeviceProfile(
        "orin-nx-8-super", "Jetson Orin NX 8 GB Super", 8, 102, 58, 19, model=_ORIN_NX, is_super=True, source=_NX,
    ),
    DeviceProfile("orin-nx-16", "Jetson Orin NX 16 GB", 16, 102, 50, 15, model=_ORIN_NX, source=_NX),
    DeviceProfile(
        "orin-nx-16-super", "Jetson Orin NX 16 GB Super", 16, 102, 78, 19, model=_ORIN_NX, is_super=True, source=_NX,
    ),
    DeviceProfile(
        "agx-orin-32", "Jetson AGX Orin 32 GB", 32, 204.8, 54, 27, gpu_only=True, model=_AGX_ORIN, source=_AGX,
    ),
    DeviceProfile(
        "agx-orin-64", "Jetson AGX Orin 64 GB", 64, 204.8, 85, 42, gpu_only=True, model=_AGX_ORIN, source=_AGX,
    ),
    DeviceProfile("xavier-nx-8", "Jetson Xavier NX 8 GB", 8, 59.7, 21, model=_XAVIER_NX, source=_SECONDARY),
    DeviceProfile("xavier-nx-16", "Jetson Xavier NX 16 GB", 16, 59.7, 21, model=_XAVIER_NX, source=_SECONDARY),
    DeviceProfile(
        "nano-2019", "Jetson Nano 4 GB (2019)", 4, 25.6, fp16_tflops=0.47, model="Jetson Nano", source=_SECONDARY,
    ),
    DeviceProfile("thor-t4000", "Jetson Thor T4000", 64, 273, fp16_tflops=150, model="Thor", source=_SECONDARY),
    DeviceProfile("thor-t5000", "Jetson Thor T5000", 128, 273, fp16_tflops=258, model="Thor", source=_SECONDARY),
    DeviceProfile(
        "mini-pc", "generic x86 mini-PC, AVX2", 16, 51.2,
        source="assumed memory; bandwidth by arithmetic: two channels of DDR4-3200, 2 × 8 B × 3.2 GT/s; "
        "no speed is assumed, run a benchmark",
    ),
    DeviceProfile(
        "x86-avx512-2", "2 cores with AVX512-VNNI", 24, None, gemm_gflops=162,
        source="this project's reference machine, virtual: float32 matrix product measured, memory as detected",
    ),
)  # fmt: skip


def profiles() -> tuple[DeviceProfile, ...]:
    """Returns the known devices, Jetson modules first."""
    return _PROFILES


def match_profile(model: str, memory_total: int, is_super: bool) -> DeviceProfile | None:
    """Finds the profile of a Jetson.

    Args:
        model: the device tree's model name.
        memory_total: MemTotal in bytes. It is always less than the nominal size (firmware and carve-outs keep some),
            never less than 70 % of it.
        is_super: whether the module runs in a "Super" mode.

    Returns:
        The profile, or None if no row fits: no figures are better than those of a module of another size.
    """
    size = memory_total / 2**30
    fitting = [row for row in _PROFILES if row.model and row.model in model and 0.7 * row.memory_gb <= size]
    fitting = [row for row in fitting if size <= row.memory_gb]
    return min(fitting, key=lambda row: (row.memory_gb, row.is_super != is_super), default=None)
