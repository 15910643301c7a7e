"""What the kernel says of throttling by heat, current or voltage; all of it is readable without privileges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...runtime.files.system_files import read_int, read_text

_PI = "sys/devices/platform/soc/soc:firmware/get_throttled"
# Raspberry Pi documentation, vcgencmd get_throttled: bits that hold now.
_PI_BITS = {0x1: "under-voltage", 0x2: "clock capped", 0x4: "throttled", 0x8: "soft temperature limit"}
_COOLED = ("processor", "cpufreq", "cpu", "gpu", "devfreq", "throttle")  # in the types of cooling devices but fans


@dataclass(frozen=True)
class ThrottleState:
    """The state at one moment.

    Attributes:
        counters: counter → its value since the system started.
        active: what holds now.
        sources: the sources that could be read.
    """

    counters: Mapping[str, int]
    active: tuple[str, ...]
    sources: tuple[str, ...]

    def events_since(self, before: ThrottleState) -> tuple[str, ...]:
        """Returns the counters that rose, and by how much."""
        return tuple(
            f"{name}: {value - before.counters.get(name, 0)} times"
            for name, value in self.counters.items()
            if value > before.counters.get(name, 0)
        )


def read_throttling(root: Path = Path("/")) -> ThrottleState:
    """Reads counters and states of throttling.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    counters = {name: value for name, value in _counters(root) if value is not None}
    active, sources = list[str](), ["kernel counters"] if counters else list[str]()
    mask = read_text(root / _PI)
    if mask:
        sources.append("Raspberry Pi firmware")
        bits = int(mask, 16) if all(sign in "0123456789abcdefABCDEFx" for sign in mask) else 0
        active += [f"Raspberry Pi: {name}" for bit, name in _PI_BITS.items() if bits & bit]
    cooling = [
        (kind, read_int(device / "cur_state"))
        for device in sorted((root / "sys/class/thermal").glob("cooling_device*"))
        if "fan" not in (kind := read_text(device / "type")).lower() and any(part in kind.lower() for part in _COOLED)
    ]
    if any(state is not None for _, state in cooling):
        sources.append("cooling devices")
    active += [f"cooling device {kind} at {state}" for kind, state in cooling if state]
    return ThrottleState(counters, tuple(dict.fromkeys(active)), tuple(sources))


def _counters(root: Path) -> Iterator[tuple[str, int | None]]:
    processors = root / "sys/devices/system/cpu"
    cores = [read_int(file) for file in processors.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    packages = [read_int(file) for file in processors.glob("cpu[0-9]*/thermal_throttle/package_throttle_count")]
    yield "core throttled by heat", sum(each for each in cores if each is not None) if cores else None
    # Every core of a package has the package's counter.
    yield "package throttled by heat", max((each for each in packages if each is not None), default=None)
    for file in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")):  # Jetson
        yield f"over-current {file.name.removesuffix('_event_cnt')}", read_int(file)
