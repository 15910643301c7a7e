"""`bedside benchmark`: its tables fit 80 columns, whatever CPU, engines and figures there are."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli.benchmark import tables
from bedside.cli.benchmark.command import Benchmark
from bedside.cli.benchmark.csv_table import write_csv
from bedside.cli.benchmark.page import write_benchmark_page
from bedside.devices import detect
from bedside.devices.measurement.latency import Latency
from bedside.devices.measurement.ratio import Ratio
from bedside.devices.measurement.report import BenchmarkReport, ColdStart, EndToEnd, MemoryUse, VariantReport
from bedside.devices.sensors.conditions import Conditions
from bedside.devices.sensors.energy import Energy
from bedside.runtime.engines import PRECISIONS

from ..printed import run_alone, shown, widest

LARGE = 123_456.78


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
        device="CPU",
        engine_version="2026.4.0-21345-0123456789a-releases/2026/4",
        cold_start=ColdStart(1.0, 1.0, 1.0, 123.0),
        window=Latency(10, 3.0, 12_345.0, 1234.0, 1.0, 12_345.0, 12_345.0, 12_345.0, 12_345.0, 12_345.0),
        energy=Energy(1234.0, 1.0, "RAPL"),
        joules_per_window=12_345.0,
        memory=MemoryUse(size // 100, size, size, size, exact=True),
        end_to_end=end,
        cached_start=ColdStart(1.0, 1.0, 1.0, 123.0),
        ratio=Ratio(12.34, 10.12, 15.67, 5),
        total_ratio=Ratio(12.34, 10.12, 15.67, 5),
        joules_per_scan=12_345.0,
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


def test_the_heading_names_the_cpu_and_every_feature_in_80_columns(cpu, monkeypatch):
    text = shown(tables.heading(report(cpu, ())), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    words = re.split(r"[\s();]+", text)
    assert set(cpu.features) <= set(words)
    assert cpu.model in " ".join(text.split())


@pytest.mark.parametrize("engines", [("openvino",), ("openvino", "onnxruntime")], ids="-".join)
def test_all_figures_of_all_variants_are_whole_in_80_columns(engines, monkeypatch):
    variants = tuple(variant(engine, precision) for engine in engines for precision in PRECISIONS)
    made = report(detect(Path("/nowhere")).cpu, variants)
    parts = [
        tables.network_table(made),
        tables.noise_note(made),
        tables.start_table(made),
        *tables.stage_tables(made),
        tables.remarks(made),
    ]
    text = shown(*parts, monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert "…" not in text.replace("800…5700", "")  # rich's mark of what it cut
    assert text.count("12345 ± 1234") == len(variants)
    assert text.count("1234.56") == 5 * len(variants)
    assert text.count("123456.78") == len(variants)
    assert text.count("10.12–15.67") == len(variants)
    assert "2026.4.0-21345-0123456789a-releases/2026/4" in text


def test_only_the_first_variant_has_ratio_1_and_what_was_not_compared_has_none(monkeypatch, tmp_path):
    first, compared, apart = (
        replace(variant("openvino", precision), end_to_end=None, ratio=ratio, total_ratio=None, bundle=None)
        for precision, ratio in (("fp32", None), ("fp16", Ratio(12.34, 10.12, 15.67, 5)), ("int8", None))
    )
    made = report(detect(Path("/nowhere")).cpu, (first, compared, apart))
    network = shown(tables.network_table(made), monkeypatch=monkeypatch).splitlines()
    assert [line.split()[-1] for line in network if "openvino" in line] == ["1", "10.12–15.67", "–"]
    starts = shown(tables.start_table(made), monkeypatch=monkeypatch).splitlines()
    assert [line.split()[-1] for line in starts if "openvino" in line] == ["–", "–", "–"]
    assert "–: no round in common with openvino fp32." in tables.noise_note(made)
    write_csv(tmp_path / "b.csv", made)
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        assert [row["ratio"] for row in csv.DictReader(file)] == ["1.0", "12.34", ""]
    page = write_benchmark_page(tmp_path / "b.html", made).read_text(encoding="utf-8")
    ratios = re.findall(r"± [\d.e+]+</td><td>(1<|–<|12\.34)", page)
    assert ratios == ["1<", "12.34", "–<"]


def test_the_end_to_end_ratio_of_the_first_variant_is_1_where_scans_were_measured(monkeypatch):
    first = replace(variant("openvino", "fp32"), ratio=None, total_ratio=None)
    made = report(detect(Path("/nowhere")).cpu, (first, variant("openvino", "fp16")))
    rows = shown(tables.start_table(made), monkeypatch=monkeypatch).splitlines()
    assert [line.split()[-1] for line in rows if "openvino" in line] == ["1", "12.34"]


def test_benchmark_shows_latency_and_stages_in_80_columns(tiny_bundle: Path) -> None:
    stdout, _ = run_alone(Benchmark, str(tiny_bundle), "--seconds", "0", "--rounds", "2", "--engine", "onnxruntime")
    assert "onnxruntime fp32" in stdout
    assert "onnxruntime int8" in stdout
    for word in (
        "p50",
        "p90",
        "p95",
        "p99",
        "95 %",
        "preprocess",
        "restore",
        "save",
        "total",
        "synthetic trunk",
        "energy:",
    ):
        assert word in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 80


def test_benchmark_json_is_one_object_on_stdout(tiny_bundle: Path) -> None:
    stdout, stderr = run_alone(
        Benchmark,
        str(tiny_bundle),
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


def test_help_shows_an_example() -> None:
    stdout, _ = run_alone(Benchmark, "--help")
    assert "Example: bedside" in stdout
