"""Parses the lines of NVIDIA's tegrastats, and samples it while a block runs.

The format is not specified and differs by module and release: the timestamp is optional, ``GR3D_FREQ`` comes with or
without a percentage and with one clock or a list, rails with or without ``mW`` and with two or three values, idle
cores are ``off``. Unknown fields are ignored; nothing is guessed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from types import TracebackType

_RAM = re.compile(r"\bRAM (\d+)/(\d+)MB")
_SWAP = re.compile(r"\bSWAP (\d+)/(\d+)MB")
_CPU = re.compile(r"\bCPU \[([^\]]*)\]")
_CORE = re.compile(r"(\d+)%(?:@(\d+))?")
_GPU = re.compile(r"\bGR3D_FREQ (?:(\d+)%)?(?:@\[?([\d,]+)\]?)?")
_TEMPERATURE = re.compile(r"([A-Za-z][\w.-]*)@(-?\d+(?:\.\d+)?)C\b")
_RAIL = re.compile(r"\b((?:VDD|VIN|POM|NC|CV)\w*|GPU|CPU|SOC|SYS5V) (\d+)(?:mW)?/(\d+)(?:mW)?(?:/\d+(?:mW)?)?(?=\s|$)")
_FEEDS = ("VIN", "VDD_IN", "POM_5V_IN")  # rails that carry the whole module's power
_OFF_SENSOR = -200.0  # a sensor of a powered-down block reads -256 C
_FIXED_SENSORS = frozenset({"PMIC"})  # always 100 C


@dataclass(frozen=True)
class Core:
    """One CPU core: load in percent and clock in MHz (None where not given)."""

    load: int
    mhz: int | None


@dataclass(frozen=True)
class Temperature:
    """Temperature of one sensor, in °C."""

    sensor: str
    celsius: float


@dataclass(frozen=True)
class Rail:
    """Power of one rail: now and averaged since tegrastats started, in mW."""

    name: str
    milliwatts: int
    average: int


@dataclass(frozen=True)
class TegraSample:
    """One line of tegrastats.

    Attributes:
        ram_mb: (used, total) in MB as printed.
        swap_mb: (used, total) in MB, or None.
        cores: load and clock per core; None for a core that is off.
        gpu_load: GPU load in percent; None where the line has none.
        gpu_mhz: GPU clocks in MHz, one per graphics cluster.
        temperatures: sensors that are on, without the Nano's PMIC, which always reads 100 °C.
        rails: power rails.
    """

    ram_mb: tuple[int, int]
    swap_mb: tuple[int, int] | None
    cores: tuple[Core | None, ...]
    gpu_load: int | None
    gpu_mhz: tuple[int, ...]
    temperatures: tuple[Temperature, ...]
    rails: tuple[Rail, ...]

    @property
    def total_milliwatts(self) -> int | None:
        """Power of the module in mW: its input rail, or the sum of all rails without one (AGX Orin); None: no rails."""
        feeds = [rail.milliwatts for rail in self.rails if rail.name in _FEEDS]
        if feeds:
            return feeds[0]
        return sum(rail.milliwatts for rail in self.rails) if self.rails else None


def parse_tegrastats(line: str) -> TegraSample | None:
    """Parses one line of tegrastats; returns None for lines without a sample (a warning, an empty line)."""
    ram, cpu, gpu, swap = _RAM.search(line), _CPU.search(line), _GPU.search(line), _SWAP.search(line)
    if ram is None or cpu is None:
        return None
    return TegraSample(
        ram_mb=(int(ram[1]), int(ram[2])),
        swap_mb=(int(swap[1]), int(swap[2])) if swap else None,
        cores=tuple(_parse_core(text) for text in cpu[1].split(",")),
        gpu_load=int(gpu[1]) if gpu and gpu[1] else None,
        gpu_mhz=tuple(int(clock) for clock in gpu[2].split(",") if clock) if gpu and gpu[2] else (),
        temperatures=tuple(
            Temperature(name, float(value))
            for name, value in _TEMPERATURE.findall(line)
            if float(value) > _OFF_SENSOR and name not in _FIXED_SENSORS
        ),
        rails=tuple(Rail(name, int(now), int(average)) for name, now, average in _RAIL.findall(line)),
    )


def _parse_core(text: str) -> Core | None:
    found = _CORE.fullmatch(text.strip())
    return Core(int(found[1]), int(found[2]) if found[2] else None) if found else None


class TegraSampler:
    """Collects tegrastats samples while a ``with`` block runs; collects none if the program is not on the PATH.

    Args:
        interval_ms: time between samples, in milliseconds.
    """

    def __init__(self, interval_ms: int = 200) -> None:
        self._interval_ms = interval_ms
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self.samples: list[TegraSample] = []

    @property
    def mean_watts(self) -> float | None:
        """Mean power of the module over the block, in W; None without samples or rails."""
        powers = [sample.total_milliwatts for sample in self.samples if sample.total_milliwatts is not None]
        return sum(powers) / len(powers) / 1e3 if powers else None

    def __enter__(self) -> TegraSampler:
        program = shutil.which("tegrastats")
        if program is not None:
            self._process = subprocess.Popen(
                [program, "--interval", str(self._interval_ms)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
            self._thread = threading.Thread(target=self._read, name="bedside-tegrastats", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._thread.join(timeout=1)  # a child process of tegrastats may hold the pipe open

    def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                sample = parse_tegrastats(line)
                if sample is not None:
                    self.samples.append(sample)
