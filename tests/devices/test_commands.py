from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from bedside.cli import benchmark as benchmark_cli
from bedside.cli import devices as devices_cli
from bedside.cli.options.command import typer_function
from bedside.devices import profiles
from typer.testing import CliRunner


def run(command: object, *arguments: str, columns: int = 80) -> tuple[str, str]:
    app = typer.Typer()
    app.command()(typer_function(command))  # pyright: ignore[reportArgumentType]
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)}, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


@pytest.mark.parametrize("command", [devices_cli.Devices, benchmark_cli.Benchmark])
def test_help_shows_an_example(command: object) -> None:
    stdout, _ = run(command, "--help")
    assert "Example: bedside" in stdout


def test_devices_lists_every_profile_in_80_columns() -> None:
    stdout, _ = run(devices_cli.Devices)
    assert all(row.key in stdout for row in profiles())
    assert max(len(line) for line in stdout.splitlines()) <= 80


def test_devices_json_is_one_object_with_host_and_profiles() -> None:
    stdout, _ = run(devices_cli.Devices, "--json")
    content = json.loads(stdout)
    assert content["host"]["cpu"]["logical_cores"] >= 1
    assert [row["key"] for row in content["profiles"]] == [row.key for row in profiles()]


def test_benchmark_shows_latency_and_stages_in_80_columns(bundle: Path) -> None:
    stdout, _ = run(benchmark_cli.Benchmark, str(bundle), "--seconds", "0", "--engine", "onnxruntime")
    assert "onnxruntime fp32" in stdout
    assert "onnxruntime int8" in stdout
    for word in ("p50", "p90", "p99", "preprocess", "restore", "save", "total", "synthetic trunk", "energy:"):
        assert word in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 80


def test_benchmark_json_is_one_object_on_stdout(bundle: Path) -> None:
    stdout, stderr = run(
        benchmark_cli.Benchmark,
        str(bundle),
        "--seconds",
        "0",
        "--engine",
        "onnxruntime",
        "--precision",
        "fp32",
        "--network-only",
        "--json",
    )
    (line,) = stdout.splitlines()
    assert json.loads(line)["variants"][0]["engine"] == "onnxruntime"
    assert "benchmark" in stderr


def test_importing_devices_brings_neither_numpy_nor_torch_nor_an_engine() -> None:
    code = (
        "import sys, bedside.devices, bedside.cli.benchmark, bedside.cli.devices; bedside.devices.detect();"
        "print(sorted({'numpy', 'torch', 'onnxruntime', 'openvino', 'nibabel', 'rich.table'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_benchmark_process_brings_no_torch() -> None:
    code = "import sys, bedside.devices.benchmark_process; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
