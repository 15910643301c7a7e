"""The tables of `bedside devices`, in 80 columns on any CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedside.cli.devices.tables import engine_table, machine_table, profile_table
from bedside.devices import detect, profiles
from bedside.runtime.engines import InferenceDevice

from ..printed import shown, widest


def test_this_machine_is_described_in_80_columns(cpu, monkeypatch):
    host = replace(detect(Path("/nowhere")), cpu=cpu)
    text = shown(machine_table(host), profile_table(profiles(), None), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert set(cpu.features) <= set(text.split())


def test_every_device_of_every_engine_is_listed(monkeypatch):
    engines = {
        "tensorrt": (),
        "openvino": (
            InferenceDevice("CPU", ("fp32", "int8"), "AMD EPYC"),
            InferenceDevice("GPU", ("fp32", "fp16", "int8"), "Intel(R) Arc(TM) Graphics (iGPU)"),
        ),
    }
    text = shown(engine_table(engines), monkeypatch=monkeypatch)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "tensorrt none here" in lines
    assert "openvino CPU fp32, int8 AMD EPYC" in lines
    assert "openvino GPU fp32, fp16, int8 Intel(R) Arc(TM) Graphics (iGPU)" in lines
