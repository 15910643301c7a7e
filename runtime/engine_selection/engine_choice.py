"""Chooses engine, precision and streams for a bundle on this machine: as requested, from the cache, or by trials."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ..bundles.bundle import Bundle
from ..engines import (
    Engine,
    available_engines,
    closed_on_error,
    default_threads,
    engine_entries,
    inference_devices,
    open_engine,
)
from ..errors import BundleError, UsageError
from ..files.machine_cache import MachineCache
from .engine_request import EngineRequest
from .machine_identity import device_identity, machine_facts, machine_identity
from .self_test import GoldenTest, warm_up
from .trials import EngineTrials, Setting, Trial

_log = logging.getLogger("bedside.engine")
MOST_STREAMS = 4  # each needs its own activations and logits; more pays only on servers
# As usual on the devices that compute in them; only orders the trials. On CPUs fp16 is rarely there.
_FASTEST_FIRST = ("int8-bf16", "int8-fp16", "bf16", "fp16", "uint8", "int8")


class EngineChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The setting that runs a bundle on this machine. It passed the self-test here, unless that was turned off.

    Attributes:
        setting: engine, precision, streams and device.
        threads: number of CPU threads of all streams together.
        reason: why this setting was chosen, as a message.
        workspace_bytes: bytes that the engine allocates on its first run.
        trials: the trials behind the choice; empty where nothing was measured.
        compiled_sha256: SHA-256 of the compiled network in the machine's cache; empty where the engine has none.
    """

    setting: Setting
    threads: int
    reason: str
    workspace_bytes: int = 0
    trials: tuple[Trial, ...] = ()
    compiled_sha256: str = ""


@dataclass(frozen=True)
class Opened:
    """An opened engine, and the choice that led to it."""

    engine: Engine
    choice: EngineChoice


def open_for_bundle(bundle: Bundle, asked: EngineRequest) -> Opened:
    """Opens a bundle's model as requested; of several candidates, the fastest on this machine.

    Candidates are the variants that passed the bundle's gate, for every class, at export; fp32, the student as it was
    trained, needs no gate. Where this is the machine that exported the bundle, variants that were not worth it there
    are left out. On the first start on a machine, trials open the candidates, compare them with the golden
    patch and time them on it for some seconds. The machine's cache keeps the choice, so that later starts choose the
    same and neither measure nor test again until bundle, CPU, devices, threads, engine or bedside change.

    Args:
        bundle: the bundle to open.
        asked: engine, precision and device, and what they may use of the machine.

    Raises:
        BundleError: the bundle has no such model, or its models fail the self-test.
        UsageError: the engine, precision or device is unknown or not available on this machine, or ``threads`` is
            below 1.
        ResourceError: there is not enough memory for the model.
    """
    settled = asked.threads is not None and "auto" not in (asked.engine, asked.precision)
    threads = asked.threads or default_threads()
    settings = _settings(bundle, asked, threads)
    if not asked.self_test:
        return _untested(bundle, settings[0], threads)
    selection = _Selection(bundle, settings, () if settled else _more_streams(threads), threads, asked.memory_limit)
    cache = MachineCache.of_this_user()
    cached = selection.from_cache(cache)
    if cached is not None:
        return cached
    with cache.exclusive():  # another process may have run the same trials meanwhile
        return selection.from_cache(cache) or selection.by_trials(cache)


def open_choice(bundle: Bundle, choice: EngineChoice) -> Opened:
    """Opens a bundle's model as it was chosen before on this machine; nothing is measured or tested again.

    Args:
        bundle: the bundle that the choice was made for.
        choice: what `open_for_bundle` chose, in this process or another one.

    Raises:
        BundleError: the bundle has no such model, or it does not fit the task.
        UsageError: the engine is not installed any more, or has no such device.
        ResourceError: there is not enough memory for the model.
    """
    compiled = MachineCache.of_this_user().read_compiled(choice.compiled_sha256)
    return Opened(_open(bundle, choice.setting, choice.threads, compiled), choice)


@dataclass(frozen=True)
class _Selection:
    """The selection of a setting for a bundle, from its candidates.

    Attributes:
        bundle: the bundle to open.
        settings: candidates with one stream each, the default first.
        streams: numbers of streams above one that may be tried.
        threads: number of CPU threads of all streams together.
        memory_limit: bytes this process may hold; None for all free memory.
    """

    bundle: Bundle
    settings: Sequence[Setting]
    streams: Sequence[int]
    threads: int
    memory_limit: int | None

    @property
    def key(self) -> str:
        """The cache key: everything that a choice depends on, from bundle and CPU to versions and request."""
        candidates = [f"{setting} {device_identity(setting.engine, setting.device)}" for setting in self.settings]
        facts = [self.bundle.sha256, *machine_facts(self.threads), *candidates, self.streams, self.memory_limit]
        return "\n".join(str(fact) for fact in facts)

    def from_cache(self, cache: MachineCache) -> Opened | None:
        """Opens the setting cached for this machine; None where none is cached, or it is not a candidate any more."""
        choice = cache.read(self.key, EngineChoice)
        if choice is None or not _offered(choice.setting, self.settings, self.streams):
            return None
        opened = _open(self.bundle, choice.setting, self.threads, cache.read_compiled(choice.compiled_sha256))
        _log.info("%s; measured before on this machine", choice.reason)
        return Opened(opened, choice)

    def by_trials(self, cache: MachineCache) -> Opened:
        """Tests and times the candidates, opens the fastest and caches the choice."""
        trials = EngineTrials(
            GoldenTest.of(self.bundle),
            lambda setting: _open(self.bundle, setting, self.threads),
            lambda setting: self.bundle.variant(setting.engine, setting.precision),
            self.threads,
            self.memory_limit,
        )
        best = trials.fastest(self.settings, self.streams)
        opened, setting = best.engine, best.setting
        with closed_on_error(opened):  # a copy of all weights, for which memory may run out
            compiled = opened.compiled()
        choice = EngineChoice(
            setting=setting,
            threads=self.threads,
            reason=trials.reason(),
            workspace_bytes=trials.workspace_bytes * setting.streams,
            trials=tuple(trials.trials),
            compiled_sha256="" if compiled is None else cache.write_compiled(compiled),
        )
        _log.info("%s", choice.reason)
        cache.write(self.key, choice)
        return Opened(opened, choice)


def _untested(bundle: Bundle, setting: Setting, threads: int) -> Opened:
    with closed_on_error(_open(bundle, setting, threads)) as engine:
        warm_up(engine)
    return Opened(
        engine, EngineChoice(setting=setting, threads=threads, reason=f"{setting}: the default, without self-test")
    )


def _settings(bundle: Bundle, asked: EngineRequest, threads: int) -> list[Setting]:
    """Returns the candidates with one stream each, grouped by engine and device, the default first.

    Raises:
        UsageError: no engine is installed, or none has that name.
        BundleError: no variant may be chosen automatically.
    """
    engines, precision = available_engines() if asked.engine == "auto" else [asked.engine], asked.precision
    if not engines:
        plain = next(entry.package for _, entry in engine_entries() if entry.extra is None)
        raise UsageError(f"no engine is installed; run: pip install {plain}")
    able = [
        Setting(name, each, device=found.name)
        for name in engines
        for found in inference_devices(name)
        if asked.device in ("auto", found.name)
        for each in (("fp32", *_FASTEST_FIRST) if precision == "auto" else (precision,))
        if each in found.precisions
    ]
    if not able:  # opening raises and says why
        return [Setting(engines[0], "fp32" if precision == "auto" else precision, device=asked.device)]
    if precision != "auto":
        return [each for each in able if bundle.offers(each.engine, precision)] or able  # opening these says why
    settings = [setting for setting in able if _passed(bundle, setting.engine, setting.precision)]
    if not settings:
        raise BundleError("no variant of the bundle passed its gate; export it again, or name engine and precision")
    return _worth_trying(bundle, settings, threads)


def _passed(bundle: Bundle, engine: str, precision: str) -> bool:
    """Returns whether a variant may be chosen automatically.

    fp32 is the student itself and qualifies also where an older bundle records no gate; every other variant must have
    passed the gate. With this engine, because engines differ in their int8 kernels, where the bundle has variants of
    it; an engine that the exporting machine lacked, such as a Jetson's, runs what passed with another, and its
    self-test on this machine has to agree. So does fp16 on a device that the exporting machine lacked.
    """
    try:
        variant = bundle.variant(engine, precision)
    except BundleError:
        return False
    if precision == "fp32":
        return variant.passed is not False
    measured = {each.engine for each in bundle.manifest.variants}
    return variant.passed is True and (variant.engine == engine or engine not in measured or precision == "fp16")


def _worth_trying(bundle: Bundle, settings: list[Setting], threads: int) -> list[Setting]:
    """Returns the settings without those that export measured as no faster than a more exact one, on this machine.

    On any other machine or device, and after an update of an engine, a driver or bedside, those times say nothing: all
    settings are tried, and `Candidate.replaces` requires as much of them. So are those of an older bundle, which does
    not tell the device of a time.
    """
    timed_on = bundle.manifest.timed_on
    if timed_on is None or timed_on.identity != machine_identity(threads):
        return settings
    variants = {setting: bundle.variant(setting.engine, setting.precision) for setting in settings}
    timed = {
        setting: variant
        for setting, variant in variants.items()
        if variant.engine == setting.engine and variant.timed_device == device_identity(setting.engine, setting.device)
    }
    left_out = [setting for setting, variant in timed.items() if variant.more_exact_and_as_fast(timed.values())]
    return [setting for setting in settings if setting not in left_out]


def _offered(setting: Setting, settings: Sequence[Setting], streams: Sequence[int]) -> bool:
    return setting.streams in (1, *streams) and msgspec.structs.replace(setting, streams=1) in settings


def _more_streams(threads: int) -> tuple[int, ...]:
    """Returns the largest number of streams that share the threads evenly, if above one; otherwise an empty tuple."""
    most = max(count for count in range(1, min(threads, MOST_STREAMS) + 1) if threads % count == 0)
    return (most,) if most > 1 else ()


def _open(bundle: Bundle, setting: Setting, threads: int, compiled: bytes | None = None) -> Engine:
    variant, task = bundle.variant(setting.engine, setting.precision), bundle.task
    opened = open_engine(
        setting.engine,
        bundle.model(variant),
        threads=threads,
        precision=setting.precision,
        streams=setting.streams,
        compiled=compiled,
        device=None if setting.device == "auto" else setting.device,
    )
    with closed_on_error(opened) as engine:
        if engine.patch_dhw != task.patch.dhw or engine.num_classes != task.num_classes:
            raise BundleError(
                f"{variant.file}: window {engine.patch_dhw} and {engine.num_classes} classes do not fit the task's "
                f"{task.patch.dhw} and {task.num_classes}; export the bundle again"
            )
    return opened
