"""NVIDIA graphics cards through NVML (package nvidia-ml-py): power, temperature, clock, memory, throttling."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any

# Bits of the clocks' event reasons (nvml.h) that mean less speed than asked for.
_REASONS = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_TEMPERATURE_GPU, _CLOCK_SM = 0, 1  # enumerations of nvml.h


@dataclass(frozen=True)
class CardSample:
    """State of a graphics card; None where the driver does not say.

    Attributes:
        watts: power of the card in W.
        celsius: temperature of its chip.
        mhz: clock of its processors.
        memory_used: bytes of its memory that are in use, by all processes.
        throttled: why it is slower than it could be.
    """

    watts: float | None
    celsius: float | None
    mhz: int | None
    memory_used: int | None
    throttled: tuple[str, ...]


class Nvml:
    """An NVIDIA graphics card; a context manager that reads nothing where there is none.

    It is the first that ``CUDA_VISIBLE_DEVICES`` names, by the beginning of its UUID, or by its number if
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID`` makes CUDA count as NVML does; else NVML's first.

    Attributes:
        title: name of the card; empty without one.
        reason: why nothing can be read; empty with a card.
    """

    def __init__(self) -> None:
        self.title = ""
        self.reason = "not readable: not opened"
        self._library: Any = None
        self._card: Any = None

    def __enter__(self) -> Nvml:
        try:
            library: Any = import_module("pynvml")
        except ImportError:
            self.reason = "not readable: nvidia-ml-py is not installed (extra nvml)"
            return self
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            self.reason = f"not readable: no NVIDIA driver ({error})"
            return self
        self._library = library
        try:
            self._card = _chosen_card(library)
            self.title, self.reason = _text(library.nvmlDeviceGetName(self._card)), ""
        except library.NVMLError as error:
            self._card, self.reason = None, f"not readable: no NVIDIA graphics card ({error})"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        library, self._library, self._card = self._library, None, None
        if library is not None:
            library.nvmlShutdown()

    def sample(self) -> CardSample | None:
        """Reads the card's state; None without a card."""
        library = self._library
        if self._card is None:
            return None
        milliwatts = self._read(library.nvmlDeviceGetPowerUsage)
        memory = self._read(library.nvmlDeviceGetMemoryInfo)
        # The newer name of the same call is not in every release.
        reasons = getattr(library, "nvmlDeviceGetCurrentClocksEventReasons", None)
        bits = self._read(reasons or library.nvmlDeviceGetCurrentClocksThrottleReasons) or 0
        return CardSample(
            watts=None if milliwatts is None else milliwatts / 1e3,
            celsius=self._read(library.nvmlDeviceGetTemperature, _TEMPERATURE_GPU),
            mhz=self._read(library.nvmlDeviceGetClockInfo, _CLOCK_SM),
            memory_used=None if memory is None else int(memory.used),
            throttled=tuple(name for bit, name in _REASONS.items() if bits & bit),
        )

    def joules(self) -> float | None:
        """Returns the card's energy counter in J, since the driver was loaded; None where it has none."""
        if self._card is None:
            return None
        millijoules = self._read(self._library.nvmlDeviceGetTotalEnergyConsumption)
        return None if millijoules is None else millijoules / 1e3

    def _read(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(self._card, *arguments)
        except self._library.NVMLError:  # this card or driver does not report it
            return None


def _chosen_card(library: Any) -> Any:
    """Returns the card that CUDA takes as its first where the environment says it for certain; else NVML's first."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if chosen.startswith("GPU-"):
        for index in range(library.nvmlDeviceGetCount()):
            card = library.nvmlDeviceGetHandleByIndex(index)
            if _text(library.nvmlDeviceGetUUID(card)).startswith(chosen):
                return card
    # In its own order, CUDA counts the fastest card first.
    counted_alike = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" and chosen.isdecimal()
    return library.nvmlDeviceGetHandleByIndex(int(chosen) if counted_alike else 0)


def _text(value: str | bytes) -> str:
    """Returns a text of the library, which gives bytes in older releases."""
    return value.decode() if isinstance(value, bytes) else value
