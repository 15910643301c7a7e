"""What commands print on a terminal of 80 columns, and CPUs whose names and features are long."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.terminal.console import Console
from bedside.devices.hardware.cpu import read_cpu
from typer.testing import CliRunner

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


@pytest.fixture(params=CPUINFO)
def cpu(request, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(CPUINFO[request.param])
    return replace(read_cpu(tmp_path), logical_cores=384)


def shown(*parts, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    Console().show(*parts)
    return stream.getvalue()


def widest(text):
    return max(len(line) for line in text.splitlines())


def run_alone(command: object, *arguments: str, columns: int = 80) -> tuple[str, str]:
    """Runs one command as an app of its own; returns stdout and stderr."""
    app = typer.Typer()
    app.command()(typer_function(command))  # pyright: ignore[reportArgumentType]
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)}, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr
