from __future__ import annotations

from pathlib import Path

from bedside.devices.hardware.cpu import Cpu, parse_cpuinfo, read_cpu

# From a virtual machine with an AMD EPYC, shortened; the second block was made the other thread of the same core.
EPYC = """\
processor	: 0
vendor_id	: AuthenticAMD
model name	: AMD EPYC
physical id	: 0
core id		: 0
flags		: fpu sse4_2 fma f16c avx2 avx512f avx512_bf16 avx512_vnni

processor	: 1
vendor_id	: AuthenticAMD
model name	: AMD EPYC
physical id	: 0
core id		: 0
flags		: fpu sse4_2 fma f16c avx2 avx512f avx512_bf16 avx512_vnni
"""
# Written by hand in the kernel's format, not recorded: two cores of an Orin.
ORIN = """\
processor	: 0
BogoMIPS	: 62.50
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd42

processor	: 1
BogoMIPS	: 62.50
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd42
"""


def test_two_threads_of_one_core_are_told_apart() -> None:
    cpu = parse_cpuinfo(EPYC)
    assert (cpu.model, cpu.architecture) == ("AMD EPYC", "x86_64")
    assert (cpu.logical_cores, cpu.physical_cores) == (2, 1)


def test_instruction_sets_that_matter_are_named_and_others_left_out() -> None:
    assert parse_cpuinfo(EPYC).features == ("AVX2", "FMA", "F16C", "AVX512", "AVX512-VNNI", "AVX512-BF16")


def test_an_arm_core_without_a_model_name_is_named_by_its_part_number() -> None:
    assert parse_cpuinfo(ORIN) == Cpu("Arm Cortex-A78AE", "aarch64", 2, 2, ("NEON", "FP16", "DOTPROD"))


def test_amx_is_recognised() -> None:
    cpu = parse_cpuinfo("processor : 0\nflags : avx2 amx_bf16 amx_tile amx_int8\n")
    assert cpu.features == ("AVX2", "AMX-INT8", "AMX-BF16")


def test_without_cpuinfo_the_cores_come_from_python(tmp_path: Path) -> None:
    assert read_cpu(tmp_path).logical_cores >= 1
