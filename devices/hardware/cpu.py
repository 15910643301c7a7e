"""Reads the processor: model, cores, and the instruction sets that decide how fast a convolution runs."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from ...runtime.files.system_files import read_text

# Kernel flag → common name, in the order of display.
_FEATURES = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "avx512_fp16": "AVX512-FP16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimdhp": "FP16",
    "asimddp": "DOTPROD",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
}
# (implementer, part) of /proc/cpuinfo → name, because the kernel gives Arm cores no name.
# Source: arch/arm64/include/asm/cputype.h of the Linux kernel.
_ARM_CORES = {
    ("0x41", "0xd07"): "Arm Cortex-A57",
    ("0x41", "0xd08"): "Arm Cortex-A72",
    ("0x41", "0xd0b"): "Arm Cortex-A76",
    ("0x41", "0xd0c"): "Arm Neoverse-N1",
    ("0x41", "0xd42"): "Arm Cortex-A78AE",
    ("0x41", "0xd40"): "Arm Neoverse-V1",
    ("0x41", "0xd49"): "Arm Neoverse-N2",
    ("0x41", "0xd4f"): "Arm Neoverse-V2",
    ("0x41", "0xd83"): "Arm Neoverse-V3AE",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}


@dataclass(frozen=True)
class Cpu:
    """A processor as the operating system describes it.

    Attributes:
        model: name of the model.
        architecture: ``x86_64``, ``aarch64``, … as `platform.machine` gives it.
        logical_cores: hardware threads.
        physical_cores: cores; equals ``logical_cores`` where the system does not tell them apart.
        features: instruction sets that affect inference speed (``AVX2``, ``AVX512-VNNI``, ``NEON``, …).
    """

    model: str
    architecture: str
    logical_cores: int
    physical_cores: int
    features: tuple[str, ...]


def read_cpu(root: Path = Path("/")) -> Cpu:
    """Reads the processor from ``/proc/cpuinfo``, or from Python's `platform` where there is none (macOS, Windows).

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    text = read_text(root / "proc/cpuinfo")
    if not text:
        cores = os.cpu_count() or 1
        return Cpu(platform.processor() or "unknown", platform.machine(), cores, cores, ())
    return parse_cpuinfo(text)


def parse_cpuinfo(text: str) -> Cpu:
    """Parses the content of ``/proc/cpuinfo``, of x86 or Arm."""
    blocks = [_fields(block) for block in re.split(r"\n\s*\n", text) if "processor" in block]
    first = blocks[0] if blocks else {}
    flags = set(first.get("flags", first.get("features", "")).split())
    cores = {(block["physical id"], block["core id"]) for block in blocks if {"physical id", "core id"} <= block.keys()}
    arm_core = _ARM_CORES.get((first.get("cpu implementer", ""), first.get("cpu part", "")))
    logical = max(len(blocks), 1)
    return Cpu(
        model=first.get("model name") or arm_core or platform.processor() or "unknown",
        architecture="x86_64" if "flags" in first else "aarch64" if "features" in first else platform.machine(),
        logical_cores=logical,
        physical_cores=len(cores) or logical,
        features=tuple(name for flag, name in _FEATURES.items() if flag in flags),
    )


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}
