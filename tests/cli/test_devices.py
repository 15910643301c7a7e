"""`bedside devices`: this machine and the known ones, in 80 columns and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli import devices
from bedside.cli.main import run
from bedside.devices import detect, profiles
from bedside.runtime import ResourceError
from bedside.runtime.engines import InferenceDevice

from .printed import run_alone, shown, widest


def test_this_machine_is_described_in_80_columns(cpu, monkeypatch):
    host = replace(detect(Path("/nowhere")), cpu=cpu)
    text = shown(devices.machine_table(host), devices.profile_table(profiles(), None), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert set(cpu.features) <= set(text.split())


def test_devices_lists_every_profile_in_80_columns() -> None:
    stdout, _ = run_alone(devices.Devices)
    assert all(row.key in stdout for row in profiles())
    assert max(len(line) for line in stdout.splitlines()) <= 80


def test_devices_json_is_one_object_with_host_and_profiles() -> None:
    stdout, _ = run_alone(devices.Devices, "--json")
    content = json.loads(stdout)
    assert content["host"]["cpu"]["logical_cores"] >= 1
    assert [row["key"] for row in content["profiles"]] == [row.key for row in profiles()]


def test_every_device_of_every_engine_is_listed(monkeypatch):
    engines = {
        "tensorrt": (),
        "openvino": (
            InferenceDevice("CPU", ("fp32", "int8"), "AMD EPYC"),
            InferenceDevice("GPU", ("fp32", "fp16", "int8"), "Intel(R) Arc(TM) Graphics (iGPU)"),
        ),
    }
    text = shown(devices.engine_table(engines), monkeypatch=monkeypatch)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "tensorrt none here" in lines
    assert "openvino CPU fp32, int8 AMD EPYC" in lines
    assert "openvino GPU fp32, fp16, int8 Intel(R) Arc(TM) Graphics (iGPU)" in lines


def test_the_engines_devices_are_in_the_json() -> None:
    stdout, _ = run_alone(devices.Devices, "--json")
    engines = json.loads(stdout)["engines"]
    assert engines["onnxruntime"][0]["name"] == "CPU"
    assert engines["onnxruntime"][0]["precisions"] == ["fp32", "fp16", "int8", "uint8", "int8-fp16"]


def test_importing_devices_brings_neither_numpy_nor_torch_nor_an_engine() -> None:
    code = (
        "import sys, bedside.devices, bedside.cli.benchmark, bedside.cli.devices; bedside.devices.detect();"
        "print(sorted({'numpy', 'torch', 'onnxruntime', 'openvino', 'nibabel', 'rich.table'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_list_shows_the_known_devices_alone() -> None:
    stdout, _ = run_alone(devices.Devices, "list")
    assert all(row.key in stdout for row in profiles())
    assert "This machine" not in stdout
    assert list(json.loads(run_alone(devices.Devices, "list", "--json")[0])) == ["profiles"]


def test_detect_shows_this_machine_alone() -> None:
    stdout, _ = run_alone(devices.Devices, "detect")
    assert "This machine" in stdout
    assert "orin-nano-8" not in stdout
    assert list(json.loads(run_alone(devices.Devices, "detect", "--json")[0])) == ["host", "engines"]


def test_show_gives_every_figure_with_its_source() -> None:
    stdout, _ = run_alone(devices.Devices, "show", "orin-nano-8")
    assert widest(stdout) <= 80
    words = stdout.split()
    assert {"bandwidth_gb_s", "68", "DS-11105-001,", "jetpack-6.2", "10.16.2,"} <= set(words)
    content = json.loads(run_alone(devices.Devices, "show", "orin-nano-8", "--json")[0])
    assert content["bandwidth_gb_s"] == {"value": 68.0, "source": "data sheet"}
    assert content["software"]["jetpack-6.2"]["versions"]["tensorrt"] == "10.3"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["show", "orin"], 2, "did you mean"),
        (["show"], 2, "show and the name of a device"),
        (["list", "orin-nano-8"], 2, "show and the name of a device"),
        (["lists"], 2, "lists"),
        (["show", "none.toml"], 3, "cannot be read"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(words, code, message, capsys):
    assert run(["devices", *words]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_help_shows_an_example() -> None:
    stdout, _ = run_alone(devices.Devices, "--help")
    assert "Example: bedside" in stdout


def test_a_probe_is_written_and_shown_in_80_columns(tmp_path, monkeypatch):
    from bedside.devices.probe import probe
    from bedside.devices.probe.kernels import Kernel
    from bedside.devices.probe.results import PROBE_MARKS, read_probe
    from bedside.runtime.bundles.outputs import check_writable

    monkeypatch.setattr(probe, "KERNELS", (Kernel("conv", 8, 8, 16), Kernel("conv", 8, 8, 16, quantized=True)))
    output = tmp_path / "probe.json"
    stdout, _ = run_alone(devices.Devices, "probe", "-o", str(output), "--seconds", "1", "--threads", "1")
    written = read_probe(output)
    check_writable(output, ".json", marks=PROBE_MARKS)  # an earlier probe may be replaced
    assert {(each.engine, each.precision, each.threads) for each in written.series} >= {
        ("onnxruntime", "fp32", 1), ("onnxruntime", "int8", 1),
    }  # fmt: skip
    assert "onnxruntime" in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("name", "code"), [("ct.nii.gz", 2), ("dataset.json", 2), ("toy.bedside/probe.json", 2), ("nowhere/probe.json", 5)]
)
def test_a_probe_that_cannot_be_written_is_refused_before_the_kernels(tmp_path, monkeypatch, name, code):
    monkeypatch.setattr("bedside.devices.probe.probe.probe", lambda **_: pytest.fail("probed"))
    (tmp_path / "toy.bedside").mkdir()
    for file in ("bundle.json", "bundle.sha256"):
        (tmp_path / "toy.bedside" / file).touch()
    for there in ("ct.nii.gz", "dataset.json"):
        (tmp_path / there).write_bytes(b"a person's")
    assert run(["devices", "probe", "-o", str(tmp_path / name)]) == code
    for there in ("ct.nii.gz", "dataset.json"):
        assert (tmp_path / there).read_bytes() == b"a person's"


def test_a_probe_is_shown_though_its_file_cannot_be_written(tmp_path, monkeypatch, capsys):
    from ..devices.probe.probes import kernel, made_probe

    def full(*_):
        raise ResourceError("the disk is full")

    monkeypatch.setattr("bedside.devices.probe.probe.probe", lambda **_: made_probe(kernel("output", 8, 14, 8, 2e-3)))
    monkeypatch.setattr("bedside.devices.probe.results.write_probe", full)
    assert run(["devices", "probe", "-o", str(tmp_path / "p.json"), "--json"]) == 5
    out, error = capsys.readouterr()
    assert json.loads(out)["series"]
    assert "the disk is full" in error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["probe"], "expected bedside devices probe -o FILE"),
        (["list", "-o", "x.json"], "-o goes with probe alone"),
        (["list", "--seconds", "3"], "--seconds and --threads go with bedside devices probe"),
    ],
)
def test_options_of_the_probe_go_with_the_probe(words, reason, capsys):
    assert run(["devices", *words]) == 2
    assert reason in capsys.readouterr().err
