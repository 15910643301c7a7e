"""Compares two benchmark reports, of one machine or of two: ratios, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ...runtime.errors import InputError
from .ratio import Ratio, unpaired_ratio
from .report import SCHEMA_VERSION, BenchmarkReport, MemoryUse, VariantReport, different_names, read_printed

_Key = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A fact that differs between the reports, besides the figures."""

    fact: str
    first: str
    second: str


@dataclass(frozen=True)
class ComparedVariant:
    """A variant that both reports have; every ratio is the second report's by the first's, below 1 is less.

    Attributes:
        name: its name in the first report.
        first_ms: median latency of a window in the first report.
        second_ms: the same in the second.
        window: ratio of latencies, with the interval of the rounds of both.
        total: ratio of end-to-end times; None where one has none.
        memory: ratio of peak memory above the baseline; None where one has none.
        memory_is_of_network: whether ``memory`` leaves scans out, as they may differ or one report has none.
        joules: ratio of energies of one window; None where one has none.
        total_is_of_other_scans: whether the scans differ or may do so, so that ``total`` compares two things at once.
    """

    name: str
    first_ms: float
    second_ms: float
    window: Ratio
    total: float | None
    memory: float | None
    memory_is_of_network: bool
    joules: float | None
    total_is_of_other_scans: bool


@dataclass(frozen=True)
class Comparison:
    """Two reports, compared.

    Attributes:
        differences: the facts that differ.
        variants: the variants that both have.
        only_first: names of those that only the first report has.
        only_second: names of those that only the second report has.
        schema_version: `SCHEMA_VERSION` of both.
    """

    differences: tuple[Difference, ...]
    variants: tuple[ComparedVariant, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Returns the comparison as plain dicts, lists, strings and numbers, ready for JSON."""
        return msgspec.to_builtins(self)


def read_report(path: Path) -> BenchmarkReport:
    """Reads what ``bedside benchmark --json`` printed.

    Raises:
        InputError: the file cannot be read, is no such report, or is of another schema version; the field is named.
    """
    return read_printed(path, f'report "{path.name}"', BenchmarkReport)


def compare(first: BenchmarkReport, second: BenchmarkReport) -> Comparison:
    """Compares two reports; variants are matched by bundle name, engine, precision, device, overlap and threads.

    Where a report measured one number of threads only, that number need not match: another machine has other cores.
    Bundles of one name are matched in their order.

    Raises:
        InputError: a report has the same variant twice.
    """
    rows, others = _keyed(first, second), _keyed(second, first)
    scans_differ = not first.segmented_the_scan_of(second)
    compared = [_compared(mine, others[key], scans_differ=scans_differ) for key, mine in rows.items() if key in others]
    facts, other_facts = dict(_facts(first)), dict(_facts(second))
    differences = [
        Difference(fact, facts.get(fact, "–"), other_facts.get(fact, "–"))
        for fact in dict.fromkeys([*facts, *other_facts])
        if facts.get(fact, "–") != other_facts.get(fact, "–")
    ]
    return Comparison(
        differences=tuple(differences),
        variants=tuple(compared),
        only_first=tuple(variant.name for key, variant in rows.items() if key not in others),
        only_second=tuple(variant.name for key, variant in others.items() if key not in rows),
    )


def _keyed(report: BenchmarkReport, other: BenchmarkReport) -> dict[_Key, VariantReport]:
    several = max(len(report.bundles), len(other.bundles)) > 1
    counts = max(len({variant.threads for variant in each.variants}) for each in (report, other))
    names = different_names([bundle.name for bundle in report.bundles])
    keyed = {
        (
            names[variant.bundle] if several and variant.bundle is not None else "",
            variant.engine,
            variant.precision,
            variant.device,
            str(variant.overlap),
            str(variant.threads) if counts > 1 else "",
        ): variant
        for variant in report.variants
    }
    if len(keyed) < len(report.variants):
        raise InputError("a report has a variant twice: the same bundle, engine, precision, device, overlap, threads")
    return keyed


def _compared(first: VariantReport, second: VariantReport, *, scans_differ: bool) -> ComparedVariant:
    whole, other_whole = first.end_to_end, second.end_to_end
    of_network = scans_differ or None in (first.memory.end_to_end_peak, second.memory.end_to_end_peak)
    rounds, other_rounds = first.rounds_ms or (first.window.p50_ms,), second.rounds_ms or (second.window.p50_ms,)
    return ComparedVariant(
        name=first.name,
        first_ms=first.window.p50_ms,
        second_ms=second.window.p50_ms,
        window=unpaired_ratio(other_rounds, rounds),
        total=_quotient(other_whole and other_whole.total_s, whole and whole.total_s),
        memory=_quotient(*(_bytes(each.memory, of_network=of_network) for each in (second, first))),
        memory_is_of_network=of_network,
        joules=_quotient(second.joules_per_window, first.joules_per_window),
        total_is_of_other_scans=scans_differ,
    )


def _bytes(memory: MemoryUse, *, of_network: bool) -> int:
    return memory.network_peak - memory.baseline if of_network else memory.above_baseline


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _facts(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    """Yields what the figures depend on: machine, versions, bundles and options."""
    host = report.host
    yield "machine", host.jetson.model if host.jetson else host.cpu.model
    yield "cores", f"{host.cpu.physical_cores} cores, {host.usable_cores} threads usable"
    yield "instructions", " ".join(host.cpu.features)
    yield "memory", f"{host.memory_total / 2**30:.1f} GiB"
    yield "system", host.system
    yield "governor", host.governor or "not readable"
    if host.jetson is not None:
        yield "L4T", host.jetson.l4t or "not readable"
        yield "power mode", host.jetson.power_mode or "not readable"
    limits = host.limits
    yield "CPU quota", "none" if limits.cpus is None else f"{limits.cpus:g} CPUs"
    yield "memory limit", "none" if limits.memory is None else f"{limits.memory / 2**30:.1f} GiB"
    yield "imposed", "nothing" if report.imposed is None else report.imposed.described
    yield "bedside", report.bedside_version
    for variant in report.variants:
        yield variant.engine, variant.engine_version
    for index, bundle in enumerate(report.bundles):
        name = "bundle" if len(report.bundles) == 1 else f"bundle {index + 1}"
        yield name, f"{bundle.name} {bundle.sha256[:12]}, {bundle.student}, task {bundle.task}"
        yield f"{name}'s window", "×".join(map(str, bundle.patch))
    yield "threads", str(report.threads)
    yield "overlap", "the bundle's" if report.overlap is None else f"{report.overlap:g}"
    yield "scan", report.scan + (f" ({report.scan_sha256[:12]})" if report.scan_sha256 else "")
    yield "rounds", str(report.rounds)
