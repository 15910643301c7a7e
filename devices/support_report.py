"""The support report: what a support engineer needs to know of a machine, in one zip, and nothing of a patient."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from .. import __version__
from ..processes.worker_pool import run_in_workers
from ..runtime.errors import BedsideError, first_line
from ..runtime.files.atomic import atomic_write
from ..runtime.hooks import Progress
from .hardware.host import detect
from .probe.results import read_probe
from .sensors.conditions import read_conditions
from .sensors.throttling import read_throttling

SCHEMA_VERSION = 1
_README = f"""bedside {__version__}: support report (research software; not a medical device)

host.json       the machine as bedside detects it, its load, heat and clocks now
engines.json    the engines and the devices that they run on, or why one cannot be loaded
versions.json   versions of bedside, Python and packages
failures.json   the last failures on this machine: command, kind of error, exit code, place in the code
self-test.json  with --bundle: whether each variant reproduces the bundle's golden patch here
probe.json      with --probe: the speeds that bedside devices probe measured

There are no scans, label maps, names of files, folders, users or hosts in it, and no messages that could quote one.
"""
_FROM_PATH = re.compile(r"\S*[\\/].*", re.DOTALL)  # a path may hold spaces: nobody can tell where it ends
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """A variant's self-test on this machine.

    Attributes:
        engine: row of the engine table.
        precision: precision of the variant.
        device: the engine's name of the device.
        passed: whether it reproduces the golden patch.
        reason: why not; paths and quoted names are left out.
    """

    engine: str
    precision: str
    device: str
    passed: bool
    reason: str = ""


def write_support_report(
    out: Path, bundle: Path | None = None, probe: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Writes the zip; returns its contents, name in the zip → JSON object.

    Args:
        out: zip to write; an existing one is replaced.
        bundle: bundle to test on this machine; None for none.
        probe: file that ``bedside devices probe`` wrote; None for none.
        progress: called with (variants tested, variants in total).

    Raises:
        BundleError: the bundle is refused.
        InputError: the probe is refused.
        ResourceError: the zip cannot be written.
    """
    from ..runtime.recent_failures import recent_failures
    from ..runtime.record import Machine

    plain: Callable[[Any], Any] = msgspec.to_builtins
    probed = None if probe is None else plain(read_probe(probe))  # a wrong file is refused before any test
    contents: dict[str, Any] = {
        "host.json": {
            "schema_version": SCHEMA_VERSION,
            "host": plain(detect()),
            "conditions": plain(read_conditions()),
            "throttling": plain(read_throttling()),
        },
        "engines.json": _engines(),
        "versions.json": {"bedside": __version__, **plain(Machine.this())},
        "failures.json": {"failures": plain(recent_failures())},
    }
    if bundle is not None:
        contents["self-test.json"] = _self_tests(bundle, progress)
    if probed is not None:
        contents["probe.json"] = probed
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README)
        for name, content in contents.items():
            archive.writestr(name, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return contents


def scrubbed(message: str) -> str:
    """Returns a library's message without what it quotes, and up to its first path: both may hold names.

    >>> scrubbed('cannot open "/data/doe.nii" in /home/jane/x: denied')
    'cannot open … in …'
    """
    return _FROM_PATH.sub("…", _QUOTED.sub("…", message))[:300]


def _engines() -> dict[str, Any]:
    from ..runtime.engines import ENGINES, available_engines

    found: dict[str, Any] = {}
    for name in available_engines():
        try:
            found[name] = msgspec.to_builtins(ENGINES[name].load().devices())
        except Exception as error:  # an engine that cannot be loaded is what the report is for
            found[name] = {"error": f"{type(error).__name__}: {scrubbed(first_line(error))}"}
    return found


@dataclass(frozen=True)
class _Variant:
    bundle: str
    engine: str
    precision: str
    device: str


@dataclass(frozen=True)
class _Testing:
    """The work of a test process, see `Work`: an engine that crashes takes only its own process along."""

    cleans_up: ClassVar[bool] = False
    advice: ClassVar[str] = "free memory"

    @contextmanager
    def ready(self) -> Generator[Callable[[_Variant, Progress], SelfTest]]:
        """Yields the test."""
        yield lambda variant, progress: _tested(variant)

    def failed(self, item: _Variant, reason: str) -> SelfTest:
        """Returns the outcome of a test whose process died."""
        return _outcome(item, scrubbed(reason))


def _self_tests(bundle: Path, progress: Progress | None) -> dict[str, Any]:
    from .measurement.chosen_variants import open_bundles

    (opened,) = open_bundles(bundle, None, None, None)
    variants = [
        _Variant(str(bundle.resolve()), setting.engine, setting.precision, setting.device)
        for setting in opened.settings
    ]
    tests: list[SelfTest] = []
    for variant in variants:  # a process of its own for each
        ((_, outcome),) = run_in_workers(_Testing(), [variant], 1, hide_stderr=True)
        tests.append(outcome)
        if progress is not None:
            progress(len(tests), len(variants))
    measured = opened.measured
    return {
        "bundle": {"sha256": measured.sha256, "task": measured.task, "student": measured.student},
        "variants": msgspec.to_builtins(tests),
    }


def _tested(variant: _Variant) -> SelfTest:
    from ..runtime.bundles.bundle import Bundle
    from ..runtime.engine_selection.self_test import GoldenTest
    from ..runtime.engines import open_engine

    try:
        with Bundle.open(variant.bundle) as bundle:
            row = bundle.variant(variant.engine, variant.precision)
            golden, model = GoldenTest.of(bundle), bundle.model(row)
            with open_engine(variant.engine, model, precision=variant.precision, device=variant.device) as engine:
                golden.check(golden.run(engine)[0], engine, row)
    except BedsideError as error:
        return _outcome(variant, scrubbed(str(error)))
    except Exception as error:  # engines raise errors of many kinds
        return _outcome(variant, f"{type(error).__name__}: {scrubbed(first_line(error))}")
    return _outcome(variant, "")


def _outcome(variant: _Variant, reason: str) -> SelfTest:
    return SelfTest(
        engine=variant.engine,
        precision=variant.precision,
        device=variant.device,
        passed=not reason,
        reason=reason,
    )
