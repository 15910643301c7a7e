"""The table of formats: what each engine and precision needs, where it runs, and whether it does here."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.engines import EngineEntry, Precision, engine_entries, inference_devices
from .model_files import CONVERTED, FORMS


@dataclass(frozen=True)
class ExportFormat:
    """One engine in one precision.

    Attributes:
        engine: name of the engine.
        precision: precision of the variant.
        file: path in the bundle of the model that it runs.
        needs: what installs the engine.
        runs_on: what it runs on, for people.
        installed: whether the engine is installed here.
        devices: names of the devices of this machine that compute in the precision.
    """

    engine: str
    precision: Precision
    file: str
    needs: str
    runs_on: str
    installed: bool
    devices: tuple[str, ...]

    @property
    def state(self) -> str:
        """The state on this machine, for people."""
        if not self.installed:
            return "not installed"
        return f"runs on {', '.join(self.devices)}" if self.devices else "no device here"


def export_formats() -> list[ExportFormat]:
    """Returns the formats of every engine in the table, of this package and of installed ones."""
    return [
        ExportFormat(
            engine=name,
            precision=precision,
            file=_file(row, precision),
            needs="bedside" if row.extra is None else f"bedside[{row.extra}]",
            runs_on=row.runs_on,
            installed=row.is_installed,
            devices=tuple(device.name for device in inference_devices(name, precision)),
        )
        for name, row in engine_entries()
        for precision in row.precisions
    ]


def _file(row: EngineEntry, precision: Precision) -> str:
    """Returns the path of the file that an engine runs; where it converts to a precision, that of the file it reads."""
    (form,) = (form for form in FORMS if form.format is row.model_format)
    for source, made in CONVERTED.items():
        if precision in made and precision in row.converts:
            return form.file(source)
    return form.file(precision)
