"""The machine on which times were measured or probed: whether it is the device, and runs as it is planned."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.errors import InputError
from ..hardware.device_profile import DeviceProfile
from .roofline import OperatingPoint


@dataclass(frozen=True)
class MeasuredMachine:
    """Where the times of a file come from.

    Attributes:
        named: the file, for messages.
        cpu: name of the processor.
        profile: key of the profile that was detected there; None where there was none.
        board: the device tree's name of the board; empty where it is no Jetson, or where an older file has none.
        power_mode: name of the power mode; empty where it was not readable, or where an older file has none.
    """

    named: str
    cpu: str
    profile: str | None
    board: str = ""
    power_mode: str = ""

    def check(self, profile: DeviceProfile, point: OperatingPoint) -> None:
        """Checks that the times may be of this device, in the power mode that is planned.

        Raises:
            InputError: they are of another device, or of another power mode.
        """
        if not profile.could_be(self.profile, self.cpu, self.board):
            named_by = "" if profile.model else "; if it is the same device, its profile names the machine by `model`"
            raise InputError(
                f'{self.named}: of {self.profile or self.title}, the plan is for "{profile.key}"{named_by}'
            )
        mode = "" if point.mode is None else point.mode.name
        if not self._is_in(mode) and self.power_mode and not self._is_unlisted(profile):
            raise InputError(
                f"{self.named}: of power mode {self.power_mode}, the plan is for {mode}; choose the mode by --power, "
                f"or measure in {mode}"
            )

    def is_at(self, profile: DeviceProfile, point: OperatingPoint) -> bool:
        """Whether the times are known to be of the power mode and clock that are planned."""
        mode = "" if point.mode is None else point.mode.name
        return point.clock_mhz is None and (self._is_in(mode) if self.power_mode else len(profile.power_modes) < 2)

    def _is_in(self, mode: str) -> bool:
        return mode.casefold() == self.power_mode.casefold()

    def _is_unlisted(self, profile: DeviceProfile) -> bool:
        """Whether the power mode is one that the profile does not know, so that no plan could be of it."""
        return bool(self.power_mode) and not any(self._is_in(mode.name) for mode in profile.power_modes)

    def doubt(self, profile: DeviceProfile) -> str:
        """Returns why the times may not be those of the planned device, as a sentence; empty where nothing says so."""
        if profile.power_modes and self._is_unlisted(profile):
            return f"{self.named}: in power mode {self.power_mode}, which the profile does not list"
        if profile.key == self.profile or profile.model:
            return ""
        return f'{self.named}: of "{self.title}"; the profile names no machine, so nothing shows that it is this device'

    @property
    def title(self) -> str:
        """The board's name, or that of the processor."""
        return self.board or self.cpu
