"""Chooses what a benchmark measures: every engine, precision, number of threads and overlap, of one or more bundles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ...runtime import arguments
from ...runtime.bundles.bundle import Bundle
from ...runtime.bundles.trusted_keys import Trust
from ...runtime.engine_selection.trials import Setting
from ...runtime.engines import ENGINES, PRECISIONS, available_engines, inference_devices
from ...runtime.errors import BundleError, UsageError
from ...runtime.spelling import canonical, one_of
from ...runtime.task import Task
from .benchmark_process import BenchmarkRequest
from .imposed import Imposed
from .report import MeasuredBundle, different_names
from .session import Contender

GivenBundle = str | os.PathLike[str] | Bundle


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle that was verified, and what of it is measured.

    Attributes:
        path: its path.
        task: its task.
        overlap: overlap of windows that it recommends.
        settings: engine, precision and device of every variant, in one stream.
        measured: what the report says of it.
    """

    path: Path
    task: Task
    overlap: float
    settings: tuple[Setting, ...]
    measured: MeasuredBundle


@dataclass(frozen=True)
class ChosenVariant:
    """A variant to measure.

    Attributes:
        request: what is sent to its process.
        bundle: number of its bundle.
        threads: number of its CPU threads.
        overlap: overlap of its windows in scans; None for the bundle's recommended one.
    """

    request: Contender
    bundle: int
    threads: int
    overlap: float | None


class Opponent(Protocol):
    """Another program that runs the same network, such as MONAI."""

    def __call__(self, bundle: OpenedBundle, scan: Path | None, threads: int, overlap: float, label: str) -> Contender:
        """Returns the contender for a bundle.

        Args:
            bundle: the bundle.
            scan: scan to segment; None for none.
            threads: number of CPU threads.
            overlap: overlap of the windows in scans.
            label: name of the bundle where there are several; empty for one.
        """
        ...


def open_bundles(
    given: GivenBundle | Sequence[GivenBundle],
    engines: Sequence[str] | None,
    precisions: Sequence[str] | None,
    trust: Trust | None,
) -> tuple[OpenedBundle, ...]:
    """Verifies bundles and finds the settings that this machine runs.

    Args:
        given: one bundle or several, as paths or open ones.
        engines: rows of the engine table; None for all that are installed.
        precisions: precisions; None for all that a bundle has.
        trust: paths of public keys, one of which must have signed each bundle; None for any bundle.

    Raises:
        UsageError: an engine or precision is unknown, none of those chosen runs here, or no bundle is given.
        MissingExtraError: the package of an engine named in ``engines`` is not installed.
        BundleError: a bundle is refused, or has no model in one of the precisions.
    """
    several: Sequence[GivenBundle] = given if isinstance(given, (list, tuple)) else (given,)  # pyright: ignore[reportAssignmentType]
    if not several:
        raise UsageError("bundle: expected a bundle or several, got none")
    opened: list[OpenedBundle] = []
    for each in several:
        path = each.path if isinstance(each, Bundle) else arguments.path("bundle", each)
        with Bundle.open(path, trust) as bundle:
            settings = _settings(bundle, engines, precisions)
            name = path.name.removesuffix(".zip").removesuffix(".bedside")
            student = bundle.manifest.provenance.student
            measured = MeasuredBundle(name, bundle.sha256, bundle.task.name, bundle.task.patch, student)
            opened.append(OpenedBundle(path, bundle.task, bundle.manifest.recommended_overlap, settings, measured))
    return tuple(opened)


def choose_variants(
    bundles: Sequence[OpenedBundle],
    scans: Sequence[Path | None],
    threads: Sequence[int],
    overlaps: Sequence[float | None],
    trust: Trust | None,
    imposed: Imposed | None = None,
    against: Sequence[Opponent] = (),
) -> tuple[ChosenVariant, ...]:
    """Returns all combinations, each labelled with what differs among them.

    Args:
        bundles: the bundles.
        scans: scan of each bundle; None for none.
        threads: numbers of CPU threads.
        overlaps: overlaps of windows in scans; None for the bundle's recommended one.
        trust: as in `open_bundles`.
        imposed: cores and memory of a device; None for this machine's own.
        against: other programs, which run each bundle's network with most threads and the first overlap.
    """
    names = different_names([bundle.measured.name for bundle in bundles])
    chosen: list[ChosenVariant] = []
    for index, (bundle, scan) in enumerate(zip(bundles, scans, strict=True)):
        for setting in bundle.settings:
            for count in threads:
                for overlap in overlaps:
                    request = BenchmarkRequest(
                        bundle=str(bundle.path.resolve()),
                        engine=setting.engine,
                        precision=setting.precision,
                        device=setting.device,
                        threads=count,
                        input=None if scan is None else str(scan),
                        overlap=overlap,
                        memory_limit=None if imposed is None else imposed.memory,
                        trust=trust,
                        on_card=_is_card(setting),
                    )
                    parts = [
                        names[index] if len(bundles) > 1 else "",
                        str(setting),
                        f"{count} threads" if len(threads) > 1 else "",
                        f"overlap {overlap:g}" if len(overlaps) > 1 and overlap is not None else "",
                    ]
                    request = replace(request, label=", ".join(part for part in parts if part))
                    chosen.append(ChosenVariant(request, index, count, overlap))
        for opponent in against:
            overlap, most = overlaps[0], max(threads)
            given = bundle.overlap if overlap is None else overlap
            contender = opponent(bundle, scan, most, given, names[index] if len(bundles) > 1 else "")
            chosen.append(ChosenVariant(contender, index, most, overlap))
    return tuple(chosen)


def _is_card(setting: Setting) -> bool:
    """Whether a setting runs on an NVIDIA graphics card; its name does not say it: "Tesla T4"."""
    return any(device.nvidia for device in inference_devices(setting.engine) if device.name == setting.device)


def _settings(bundle: Bundle, engines: Sequence[str] | None, precisions: Sequence[str] | None) -> tuple[Setting, ...]:
    """Returns the settings to measure, in one stream: those that the bundle has and this machine runs."""
    offered = sorted({variant.precision for variant in bundle.manifest.variants})
    engines = None if engines is None else [canonical(engine, ENGINES) for engine in engines]
    if precisions is not None:
        precisions = [one_of("precision", precision, PRECISIONS) for precision in precisions]
    lacking = [precision for precision in precisions or () if precision not in offered]
    if lacking:
        raise BundleError(f"the bundle has no {lacking[0]} model; it has: {', '.join(offered)}")
    for engine in engines or ():
        ENGINES.find(engine).require_installed()
    chosen = [engine for engine in available_engines() if engines is None or engine in engines]
    wanted = [precision for precision in offered if precisions is None or precision in precisions]
    settings = tuple(
        Setting(engine, precision, device=device.name)
        for engine in chosen
        for precision in wanted
        if bundle.offers(engine, precision)
        for device in inference_devices(engine, precision)
    )
    if not settings:
        raise UsageError(
            f"on this machine {' and '.join(chosen)} cannot run the bundle's {' or '.join(wanted)}; "
            "leave --engine or --precision out"
        )
    return settings
