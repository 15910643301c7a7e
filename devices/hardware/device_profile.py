"""Profiles of devices: published figures that a planner uses, each with its source, in one TOML file per device."""

from __future__ import annotations

import math
import os
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

from ...runtime import arguments
from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError, InputError, UsageError
from ...runtime.files.toml import read_toml
from ...runtime.shown_value import shown
from ...runtime.spelling import canonical

LEAST_TOTAL = 0.7
"""Least share of a Jetson's nominal memory that the kernel manages, MemTotal: firmware and carve-outs keep the rest."""

FOLDER = Path(__file__).parent / "profiles"
_SOFTWARE = Path(__file__).parent / "software.toml"
_PEAKS = ("fp32", "fp16", "bf16", "int8")


class Figure(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A positive number and its source, a key of the profile's ``sources``."""

    value: float
    source: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.value < 1e9:
            raise FieldError(f"value: expected a number above 0, got {self.value:g}")


class Processor(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a device that runs networks.

    Attributes:
        name: ``"CPU"``, ``"GPU"``, …
        engines: the engines that run on it; empty where none of bedside's does.
        peak_tops: number format (``fp32``, ``fp16``, ``bf16``, ``int8``) → dense operations, 10¹²/s; a multiplication
            and an addition are two.
        clock_mhz: clock at which the peaks hold; None where unknown.
    """

    name: str
    engines: tuple[str, ...]
    peak_tops: dict[str, Figure] = msgspec.field(default_factory=dict[str, Figure])
    clock_mhz: Figure | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in self.peak_tops:
            if kind not in _PEAKS:
                raise FieldError(f'peak_tops: expected {", ".join(_PEAKS)}, got "{kind}"')


class PowerMode(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A power mode: the watts that the device takes at most, and its clocks.

    Attributes:
        name: its name, as ``nvpmodel`` prints it.
        watts: power of the whole device or module; None for a mode that sets no limit.
        at_peak: whether the profile's peaks and bandwidth hold in this mode.
        clock_mhz: the processors' clock; None where unknown.
        active_share: share of the processors' units that are on, above 0; None for all.
        bandwidth_gb_s: memory bandwidth in this mode, GB/s; None for the profile's.
    """

    name: str
    watts: Figure | None = None
    at_peak: bool = False
    clock_mhz: Figure | None = None
    active_share: Figure | None = None
    bandwidth_gb_s: Figure | None = None


class Software(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """System software of a device, such as a JetPack.

    Attributes:
        title: name for people.
        versions: package → version.
        source: source of the versions.
    """

    title: str
    versions: dict[str, str]
    source: str


class DeviceProfile(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device. None means that there is no trustworthy figure, not that it is zero.

    Attributes:
        key: short name, as given on the command line: the file's name.
        title: name for people.
        sources: short name → source of figures.
        cores: number of CPU cores.
        memory_gb: memory in GB, shared by CPU and GPU on a Jetson.
        bandwidth_gb_s: memory bandwidth, GB/s.
        module_int8_tops: dense INT8 operations of a whole module, 10¹²/s, with parts that run no 3D network (the DLA).
        processors: the parts that run networks.
        power_modes: the power modes, the one with fewest watts first, one without a limit last.
        software: keys of `software`, the oldest first.
        model: part of the name of the board in the device tree, or of the CPU; empty where there is none.
        is_super: whether the figures hold for NVIDIA's raised "Super" clocks.
    """

    key: str
    title: str
    sources: dict[str, str]
    cores: Figure | None = None
    memory_gb: Figure | None = None
    bandwidth_gb_s: Figure | None = None
    module_int8_tops: Figure | None = None
    processors: tuple[Processor, ...] = ()
    power_modes: tuple[PowerMode, ...] = ()
    software: tuple[str, ...] = ()
    model: str = ""
    is_super: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for place, figure in self.figures.items():
            if not self.sources.get(figure.source, "").strip():
                raise FieldError(f'{place}: expected a source that [sources] explains, got "{figure.source}"')
        for key in self.software:
            if key not in software():
                raise FieldError(f'software: expected {", ".join(software())}, got "{key}"')
        for mode in self.power_modes:
            if mode.active_share is not None and mode.active_share.value > 1:
                raise FieldError(f"active_share: expected a share of at most 1, got {mode.active_share.value:g}")
        watts = [math.inf if mode.watts is None else mode.watts.value for mode in self.power_modes]
        if watts != sorted(watts):
            raise FieldError("power_modes: expected the mode with fewest watts first")

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures, by their place in the file (``"processors.GPU.fp16"``)."""
        found: dict[str, Figure | None] = {
            "cores": self.cores,
            "memory_gb": self.memory_gb,
            "bandwidth_gb_s": self.bandwidth_gb_s,
            "module_int8_tops": self.module_int8_tops,
        }
        for processor in self.processors:
            found |= {f"processors.{processor.name}.{kind}": peak for kind, peak in processor.peak_tops.items()}
            found[f"processors.{processor.name}.clock_mhz"] = processor.clock_mhz
        for mode in self.power_modes:
            found[f"power_modes.{mode.name}.watts"] = mode.watts
            found[f"power_modes.{mode.name}.clock_mhz"] = mode.clock_mhz
            found[f"power_modes.{mode.name}.active_share"] = mode.active_share
            found[f"power_modes.{mode.name}.bandwidth_gb_s"] = mode.bandwidth_gb_s
        return {place: figure for place, figure in found.items() if figure is not None}

    def could_be(self, profile: str | None, cpu: str, board: str = "") -> bool:
        """Returns whether a machine may be this device: one without a profile by its names, if this one has a `model`.

        A machine with a profile is that device and no other; a profile of one's own describes it too, if its `model`
        names it.

        Args:
            profile: key of the profile that was detected there; None where there was none.
            cpu: name of its CPU.
            board: the device tree's name of its board; empty where there is none.
        """
        if self.key == profile:
            return True
        is_own = all(row.key != self.key for row in profiles())
        if profile is not None and not (is_own and self.model):
            return False
        return not self.model or self.model in cpu or self.model in board

    def peak(self, kind: str) -> float | None:
        """Returns the highest peak of its processors in a number format, 10¹²/s; None where no figure is known."""
        peaks = (processor.peak_tops.get(kind) for processor in self.processors)
        return max((figure.value for figure in peaks if figure is not None), default=None)


@cache
def profiles() -> tuple[DeviceProfile, ...]:
    """Returns the known devices, in the order of their keys."""
    return tuple(read_profile(path) for path in sorted(FOLDER.glob("*.toml")))


@cache
def software() -> dict[str, Software]:
    """Returns the system software that profiles name, by its key."""
    return msgspec.convert(read_toml(_SOFTWARE, "software file"), dict[str, Software])


def load_profile(source: str | os.PathLike[str]) -> DeviceProfile:
    """Returns a known device's profile, or reads one from a TOML file.

    Args:
        source: a profile's key, in upper or lower case, or the path of a file (with a folder, or ending in ``.toml``).

    Raises:
        UsageError: ``source`` is no path, or no device has this key; the nearest ones are named.
        InputError: the file cannot be read or is not a valid profile; the field is named.
    """
    path = arguments.path("device", source)
    if path.suffix == ".toml" or path.name != str(source):
        return read_profile(path)
    known = {profile.key: profile for profile in profiles()}
    key = canonical(str(source), known)
    if key in known:
        return known[key]
    nearest = get_close_matches(key.lower(), known, n=4, cutoff=0.4)
    meant = f"did you mean {', '.join(nearest)}? " if nearest else ""
    raise UsageError(f"no device {shown(key)}; {meant}bedside devices lists all; a profile of your own ends in .toml")


def read_profile(path: Path) -> DeviceProfile:
    """Reads a profile from a TOML file; its key is the file's name.

    Raises:
        InputError: the file cannot be read or is not a valid profile; the field is named.
    """
    content = {"key": path.stem, **read_toml(path, "profile")}
    try:
        return msgspec.convert(content, DeviceProfile)
    except msgspec.ValidationError as error:
        raise InputError(f'profile "{path.name}" is not valid: {error}') from None


def match_profile(model: str, memory_total: int, is_super: bool) -> DeviceProfile | None:
    """Finds the profile of a machine.

    Args:
        model: the device tree's name of the board, or the name of the CPU.
        memory_total: MemTotal in bytes. It is always less than the nominal size (firmware and carve-outs keep some),
            on a Jetson never less than `LEAST_TOTAL` of it. The memory of other machines is their owners' choice.
        is_super: whether the module runs in a "Super" mode.

    Returns:
        The profile, or None if no row fits: no figures are better than those of a module of another size.
    """
    named = [row for row in profiles() if row.model and row.model in model]
    if "jetson" not in model.lower():
        return named[0] if named else None
    size = memory_total / 2**30
    sized = [(row.memory_gb.value, row) for row in named if row.memory_gb is not None]
    fitting = [(nominal, row) for nominal, row in sized if LEAST_TOTAL * nominal <= size <= nominal]
    return min(fitting, key=lambda each: (each[0], each[1].is_super != is_super), default=(0, None))[1]
