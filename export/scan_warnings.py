"""The warnings about the scans that an export reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..training.data.prepare import unusual_warning
from .cases import ExportCases


class ScanWarnings:
    """Collects the warnings about scans while they are read.

    Args:
        cases: the scans of the export, which tell those of the gate from those that calibrate int8.
    """

    def __init__(self, cases: ExportCases) -> None:
        self._gate = {Path(image) for image, _ in (*cases.gate, *cases.without_organ)}
        self._noted: dict[Path, tuple[str, ...]] = {}

    def note(self, image: Path, warnings: Sequence[str]) -> None:
        """Keeps the warnings about a scan that was read; if it is read again, each of them counts once."""
        self._noted[Path(image)] = tuple(dict.fromkeys((*self._noted.get(Path(image), ()), *warnings)))

    @property
    def lines(self) -> tuple[str, ...]:
        """One line about the calibration scans that were read, and one about the gate's; none about usual scans."""
        kinds = {
            "calibration scans": [warnings for image, warnings in self._noted.items() if image not in self._gate],
            "scans of the gate": [warnings for image, warnings in self._noted.items() if image in self._gate],
        }
        found = (unusual_warning(scans, what) for what, scans in kinds.items())
        return tuple(warning for warning in found if warning is not None)
