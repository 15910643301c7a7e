"""Two reports are matched by what was measured, and everything that differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bedside.devices import detect
from bedside.devices.measurement.comparison import Difference, compare
from bedside.devices.measurement.latency import summarize
from bedside.devices.measurement.report import BenchmarkReport, ColdStart, MeasuredBundle, MemoryUse, VariantReport
from bedside.devices.sensors.conditions import Conditions
from bedside.devices.sensors.energy import Energy
from bedside.runtime.axes import XYZ
from bedside.runtime.errors import InputError

BUNDLE = MeasuredBundle("a", "0" * 64, "toy", XYZ(16, 16, 16), "unet")


def variant(milliseconds, **changes):
    made = VariantReport(
        engine="openvino",
        precision="fp32",
        device="CPU",
        engine_version="1",
        cold_start=ColdStart(1.0, 1.0, 1.0, 3.0),
        window=summarize([milliseconds / 1e3]),
        energy=Energy(None, 1.0, "none"),
        joules_per_window=None,
        memory=MemoryUse(100, 300, None, 200, exact=True),
        end_to_end=None,
        rounds_ms=(milliseconds, milliseconds),
        threads=2,
    )
    return replace(made, **changes)


def report(*variants, **changes):
    quiet = Conditions(0.0, (), None)
    made = BenchmarkReport(
        bedside_version="1",
        task="toy",
        patch=XYZ(16, 16, 16),
        threads=2,
        min_seconds=3.0,
        overlap=None,
        scan="synthetic",
        host=detect(Path("/nowhere")),
        before=quiet,
        after=quiet,
        variants=variants,
        failed=(),
        warnings=(),
        bundles=(BUNDLE,),
    )
    return replace(made, **changes)


def test_the_same_report_differs_in_nothing():
    same = report(variant(10.0))
    compared = compare(same, same)
    assert compared.differences == ()
    assert compared.variants[0].window.value == pytest.approx(1.0)


def test_memory_and_energy_are_ratios_where_both_have_them():
    first = report(variant(10.0, joules_per_window=2.0))
    second = report(variant(5.0, joules_per_window=3.0, memory=MemoryUse(100, 200, None, 100, exact=True)))
    (row,) = compare(first, second).variants
    assert (row.window.value, row.memory, row.joules, row.total) == (pytest.approx(0.5), 0.5, 1.5, None)


def test_memory_is_compared_with_the_scan_only_where_both_segmented_the_same_one():
    network = report(variant(10.0))
    whole = report(variant(10.0, memory=MemoryUse(100, 300, 900, 800, exact=True)))
    half = report(variant(10.0, memory=MemoryUse(100, 250, 500, 400, exact=True)))

    def memory(first, second):
        (row,) = compare(first, second).variants
        return row.memory, row.memory_is_of_network

    assert memory(network, whole) == (1.0, True)
    assert memory(whole, half) == (0.5, False)
    assert memory(whole, replace(half, scan="another")) == (0.75, True)


def test_two_bundles_of_one_name_are_two_rows():
    bundles = (BUNDLE, replace(BUNDLE, sha256="1" * 64))
    first, second = (
        report(variant(slow, bundle=0), variant(100.0, bundle=1), bundles=bundles) for slow in (10.0, 50.0)
    )
    assert [row.window.value for row in compare(first, second).variants] == pytest.approx([5.0, 1.0])


def test_a_variant_that_is_there_twice_is_refused():
    with pytest.raises(InputError, match="a report has a variant twice"):
        compare(report(variant(1.0), variant(2.0)), report(variant(1.0)))


def test_variants_that_only_one_has_are_named():
    compared = compare(report(variant(1.0)), report(variant(1.0), variant(1.0, precision="int8")))
    assert (compared.only_first, compared.only_second) == ((), ("openvino int8",))


def test_one_number_of_threads_need_not_match_but_several_do():
    assert len(compare(report(variant(1.0)), report(variant(1.0, threads=8))).variants) == 1
    both = report(variant(1.0), variant(1.0, threads=8))
    assert [row.name for row in compare(report(variant(1.0)), both).variants] == ["openvino fp32"]


def test_another_bundle_machine_and_scan_are_marked():
    other = replace(BUNDLE, sha256="1" * 64)
    host = detect(Path("/nowhere"))
    second = report(variant(1.0), bundles=(other,), host=replace(host, governor="performance"), scan="given")
    compared = compare(report(variant(1.0)), second)
    assert [each.fact for each in compared.differences] == ["governor", "bundle", "scan"]
    assert compared.differences[0] == Difference("governor", "not readable", "performance")
    assert compared.variants[0].total_is_of_other_scans


GIVEN = "the scan that was given, 64×64×64 voxels of 1×1×1 mm"


@pytest.mark.parametrize(
    ("first", "second", "others"),
    [("5" * 64, "5" * 64, False), ("5" * 64, "6" * 64, True), ("5" * 64, "", True), ("", "", True)],
)
def test_two_given_scans_of_one_size_are_one_only_with_the_same_content(first, second, others):
    """Reports of older versions have no hash: nobody knows whether their scans were the same."""
    reports = [report(variant(1.0), scan=GIVEN, scan_sha256=each) for each in (first, second)]
    compared = compare(*reports)
    assert compared.variants[0].total_is_of_other_scans is others
    assert [each.fact for each in compared.differences] == (["scan"] if first != second else [])
