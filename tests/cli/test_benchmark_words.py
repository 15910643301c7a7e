"""What `bedside benchmark` and `bedside devices` say fits 80 columns, whatever CPU, engines and figures there are."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli import benchmark, devices
from bedside.cli.terminal.console import Console
from bedside.devices import detect, profiles
from bedside.devices.conditions import Conditions
from bedside.devices.cpu import read_cpu
from bedside.devices.energy import Energy
from bedside.devices.latency import Latency
from bedside.devices.report import BenchmarkReport, ColdStart, EndToEnd, MemoryUse, VariantReport
from bedside.runtime.engines import PRECISIONS

# Written after /proc/cpuinfo of such machines: one core of each, flags that matter nowhere left out.
CPUINFO = {
    "Xeon with AMX": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz\n"
        "flags\t\t: fpu vme de pse tsc msr sse sse2 ssse3 fma cx16 sse4_1 sse4_2 f16c rdrand bmi1 avx2 bmi2 avx512f "
        "avx512dq avx512cd avx512bw avx512vl avx_vnni avx512_bf16 avx512_vnni avx512_fp16 amx_bf16 amx_tile amx_int8\n"
    ),
    "EPYC": (
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9654 96-Core Processor\n"
        "flags\t\t: fpu sse4_2 fma f16c avx2 avx512f avx512_bf16 avx512_vnni\n"
    ),
    "Neoverse": (
        "processor\t: 0\nFeatures\t: fp asimd fphp asimdhp asimddp sve i8mm bf16\nCPU implementer\t: 0x41\n"
        "CPU part\t: 0xd40\n"
    ),
    "without features": "processor\t: 0\nmodel name\t: QEMU Virtual CPU version 2.5+\nflags\t\t: fpu sse2\n",
}
LARGE = 123_456.78


@pytest.fixture(params=CPUINFO)
def cpu(request, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(CPUINFO[request.param])
    return replace(read_cpu(tmp_path), logical_cores=384)


def variant(engine, precision):
    end = EndToEnd(
        shape=(512, 512, 1200),
        spacing=(0.75, 0.75, 0.5),
        windows=12_345,
        windows_skipped=12_345,
        stages=dict.fromkeys(("read", "preprocess", "windows", "restore", "save"), 1234.56),
        total_s=LARGE,
    )
    size = 123_456_000_000
    return VariantReport(
        engine=engine,
        precision=precision,
        engine_version="2026.4.0-21345-0123456789a-releases/2026/4",
        cold_start=ColdStart(1.0, 1.0, 1.0, 123.0),
        window=Latency(10, 3.0, 12_345.0, 1234.0, 1.0, 12_345.0, 12_345.0, 12_345.0, 12_345.0, 12_345.0),
        energy=Energy(1234.0, 1.0, "RAPL"),
        joules_per_window=12_345.0,
        memory=MemoryUse(size // 100, size, size, size, exact=True),
        end_to_end=end,
    )


def report(cpu, variants):
    conditions = Conditions(123.45, (), (800.0, 5700.0))
    return BenchmarkReport(
        bedside_version="0.1.0",
        task="synapse-of-a-long-name",
        patch=(128, 128, 128),
        threads=384,
        min_seconds=3.0,
        overlap=None,
        scan="the scan that was given, 512×512×1200 voxels of 0.7512×0.7512×0.5 mm",
        host=replace(detect(Path("/nowhere")), cpu=cpu),
        before=conditions,
        after=conditions,
        variants=variants,
        failed=(),
        warnings=(),
    )


def shown(*parts, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    Console().show(*parts)
    return stream.getvalue()


def widest(text):
    return max(len(line) for line in text.splitlines())


def test_the_heading_names_the_cpu_and_every_feature_in_80_columns(cpu, monkeypatch):
    text = shown(benchmark.heading(report(cpu, ())), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    words = re.split(r"[\s();]+", text)
    assert set(cpu.features) <= set(words)
    assert cpu.model in " ".join(text.split())


def test_this_machine_is_described_in_80_columns(cpu, monkeypatch):
    host = replace(detect(Path("/nowhere")), cpu=cpu)
    text = shown(devices.machine_table(host), devices.profile_table(profiles(), None), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert set(cpu.features) <= set(text.split())


@pytest.mark.parametrize("engines", [("openvino",), ("openvino", "onnxruntime")], ids="-".join)
def test_all_figures_of_all_variants_are_whole_in_80_columns(engines, monkeypatch):
    variants = tuple(variant(engine, precision) for engine in engines for precision in PRECISIONS)
    made = report(detect(Path("/nowhere")).cpu, variants)
    parts = [benchmark.network_table(made), *benchmark.stage_tables(made), benchmark.remarks(made)]
    text = shown(*parts, monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert "…" not in text.replace("800…5700", "")  # rich's mark of what it cut
    assert text.count("12345 ± 1234") == len(variants)
    assert text.count("1234.56") == 5 * len(variants)
    assert text.count("123456.78") == len(variants)
    assert "2026.4.0-21345-0123456789a-releases/2026/4" in text
