"""`bedside devices`: the machine at hand, what its engines run on, and the devices bedside knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.arguments import MOST_THREADS
from ..runtime.bundles.outputs import check_writable
from ..runtime.errors import BundleError, UsageError
from .options.command import typer_function
from .options.outputs import check_new
from .options.paths import bundle_option, input_option, output_option
from .terminal.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from ..devices import DeviceProfile, Host
    from ..devices.hardware.device_profile import Software
    from ..runtime.engines import InferenceDevice


class View(str, Enum):
    """What `bedside devices` shows of all that it knows, and what it measures."""

    LIST = "list"
    SHOW = "show"
    DETECT = "detect"
    PROBE = "probe"


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Show this machine, its engines and the known devices.

    Or only a part. list: the known devices; show NAME: all figures of one, or of a .toml file, with their sources;
    detect: this machine and its engines. Everything is read without privileges; what is not readable is left out.
    report: a zip for support, see bedside devices report --help.

    probe: times some dozen kernels here for about a minute, in each engine and precision, with 1 and all threads, and
    writes the file with which bedside plan --probe predicts this machine elsewhere.

    Example: bedside devices show orin-nano-8

    Example: bedside devices probe -o probe.json
    """

    view: Annotated[View | None, typer.Argument(help="What to show. Default: all but show.", show_default=False)] = None
    name: Annotated[
        str | None, typer.Argument(help="Of show: a known device, or a .toml file.", show_default=False)
    ] = None
    output: Annotated[
        Path | None, output_option("--output", "-o", help="Of probe: JSON file to write.", show_default=False)
    ] = None
    seconds: Annotated[
        float | None,
        typer.Option(min=1, max=3600, help="Of probe: about how long to measure; 60.", show_default=False),
    ] = None
    threads: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=MOST_THREADS, help="Of probe: threads, may be repeated; 1 and all.", show_default=False
        ),
    ] = None
    console: Console

    def __call__(self) -> None:
        """Shows the machine and the profiles, or probes the machine."""
        if (self.view is View.SHOW) != (self.name is not None):
            raise UsageError("expected bedside devices, or with list, detect, probe, or show and the name of a device")
        if (self.view is View.PROBE) != (self.output is not None):
            raise UsageError("expected bedside devices probe -o FILE; -o goes with probe alone")
        if self.view is not View.PROBE and (self.seconds is not None or self.threads):
            raise UsageError("--seconds and --threads go with bedside devices probe")
        if self.output is not None:
            self._probe(self.output)
        elif self.name is not None:
            self._show_one(self.name)
        else:
            self._show_all(machine=self.view is not View.LIST, known=self.view is not View.DETECT)

    def _probe(self, output: Path) -> None:
        from ..devices.probe.probe import SECONDS, probe
        from ..devices.probe.results import PROBE_MARKS, write_probe
        from .tables.probe import probe_table

        check_writable(output, ".json", marks=PROBE_MARKS)
        with self.console.progress("kernels") as advance:
            found = probe(seconds=self.seconds or SECONDS, threads=self.threads, progress=advance)
        for warning in found.warnings:
            self.console.warn(warning)
        try:
            write_probe(output, found)
            self.console.finished(f'the probe "{output.name}" is written')
        finally:  # a file that cannot be written costs no result
            self.console.show(probe_table(found))
            self.console.emit(_plain(found))
        self.console.show(f'the probe "{output.name}" is written; bedside plan BUNDLE --probe reads it')

    def _show_one(self, name: str) -> None:
        from ..devices import load_profile
        from ..devices.hardware.device_profile import software

        profile = load_profile(name)
        installed = {key: software()[key] for key in profile.software}
        self.console.show(*device_tables(profile, installed))
        self.console.emit({**_plain(profile), "software": _plain(installed)})

    def _show_all(self, machine: bool, known: bool) -> None:
        from ..devices import detect, profiles
        from ..runtime.engines import available_engines, inference_devices

        host, facts = detect(), dict[str, Any]()
        if machine:
            engines = {name: inference_devices(name) for name in available_engines()}
            self.console.show(machine_table(host), engine_table(engines))
            facts |= {"host": _plain(host), "engines": _plain(engines)}
        if known:
            self.console.show(profile_table(profiles(), host.profile))
            facts["profiles"] = _plain(profiles())
        self.console.emit(facts)


def _plain(record: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(record)


def device_tables(profile: DeviceProfile, installed: Mapping[str, Software]) -> list[Table]:
    """Returns all figures of a device with their sources, and the versions of its system software."""
    from rich.table import Table

    table = Table(title=f"{profile.title} ({profile.key})", title_justify="left", box=None, pad_edge=False)
    table.add_column("figure", style="bold", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("source", overflow="fold")
    for place, figure in profile.figures.items():
        table.add_row(place, f"{figure.value:g}", profile.sources[figure.source])
    systems = Table(title="\nSystem software", title_justify="left", box=None, pad_edge=False)
    systems.add_column("name", style="bold", no_wrap=True)
    systems.add_column("versions")
    systems.add_column("source", overflow="fold")
    for key, system in installed.items():
        systems.add_row(key, ", ".join(f"{name} {version}" for name, version in system.versions.items()), system.source)
    return [table, systems] if installed else [table]


def machine_table(host: Host) -> Table:
    """Returns the detected machine as a table of two columns."""
    from rich.table import Table

    table = Table(title="This machine", title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _machine_rows(host):
        if value:
            table.add_row(name, value)
    return table


def _machine_rows(host: Host) -> list[tuple[str, str]]:
    cpu, limits, jetson = host.cpu, host.limits, host.jetson
    available = "" if host.memory_available is None else f", {_gib(host.memory_available)} available"
    quota = "" if limits.cpus is None else f"{limits.cpus:g} CPUs"
    ceiling = "" if limits.memory is None else _gib(limits.memory)
    return [
        ("system", host.system),
        ("CPU", f"{cpu.model} ({cpu.architecture})"),
        ("cores", f"{cpu.physical_cores} cores, {cpu.logical_cores} threads, {host.usable_cores} usable here"),
        ("instructions", " ".join(cpu.features)),
        ("memory", f"{_gib(host.memory_total)}{available}"),
        ("container limits", ", ".join(part for part in (quota, ceiling) if part)),
        ("governor", host.governor),
        ("Jetson", "" if jetson is None else f"{jetson.model}, L4T {jetson.l4t or 'unknown'}"),
        ("power mode", "" if jetson is None else jetson.power_mode or "not readable"),
        ("profile", host.profile or "none of the known devices"),
    ]


def engine_table(engines: Mapping[str, Sequence[InferenceDevice]]) -> Table:
    """Returns the installed engines with the devices of this machine that they run on."""
    from rich.table import Table

    table = Table(title="\nEngines on this machine", title_justify="left", box=None, pad_edge=False)
    table.add_column("engine", style="bold", no_wrap=True)
    table.add_column("device", no_wrap=True)
    table.add_column("precisions")
    table.add_column("model", overflow="fold")
    for name, devices in engines.items():
        for device in devices:
            table.add_row(name, device.name, ", ".join(device.precisions), device.title)
        if not devices:
            table.add_row(name, "none here", "", "")
    return table


def profile_table(known: tuple[DeviceProfile, ...], current: str | None) -> Table:
    """Returns the known devices as a table; an asterisk marks this machine."""
    from rich.table import Table

    table = Table(title="\nKnown devices", title_justify="left", box=None, pad_edge=False)
    table.add_column("profile", style="bold", no_wrap=True)
    table.add_column("device")
    for heading in ("GB", "GB/s", "INT8\nTOPS", "FP16\nTFLOPS"):
        table.add_column(heading, justify="right")
    table.caption = "Dense speed of one processor, without the DLA of a module. * this machine."
    table.caption_justify = "left"
    for row in known:
        sizes = (figure and figure.value for figure in (row.memory_gb, row.bandwidth_gb_s))
        figures = (*sizes, row.peak("int8"), row.peak("fp16"))
        mark = " *" if row.key == current else ""
        table.add_row(row.key + mark, row.title, *("–" if value is None else f"{value:.4g}" for value in figures))
    return table


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write what a support engineer needs to know of this machine as one zip, with nothing of a patient in it.

    Machine, engines, versions, the last failures (kind and place, no messages), and on request the self-test of a
    bundle and the probe of this machine. The first word is `report`.

    Example: bedside devices report -o report.zip --bundle student.bedside
    """

    word: Annotated[str, typer.Argument(help="report", metavar="report", hidden=True)]
    output: Annotated[Path, output_option("--output", "-o", help="Zip to write.", show_default=False)]
    bundle: Annotated[
        Path | None, bundle_option(help="Bundle to test on this machine: a directory or zip.", show_default=False)
    ] = None
    probe: Annotated[
        Path | None, input_option(help="What bedside devices probe -o wrote here.", show_default=False)
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Writes the zip and says what is in it."""
        check_new(self.output, ".zip", force=self.force)
        from ..devices.support_report import write_support_report

        with self.console.progress("self-test") as advance:
            contents = write_support_report(self.output, self.bundle, self.probe, advance)
        self.console.finished(f'the report "{self.output.name}" is written')
        self.console.show(f"{self.output.name}: {', '.join(contents)}")
        tests = contents.get("self-test.json", {}).get("variants", [])
        for test in tests:
            outcome = "passed" if test["passed"] else f"failed: {test['reason']}"
            self.console.show(f"self-test {test['engine']} {test['precision']} on {test['device']}: {outcome}")
        self.console.emit({"report": self.output.name, "contents": contents})
        if not all(test["passed"] for test in tests):
            raise BundleError("the report is written; the bundle failed its self-test here, see self-test.json")


def devices_command(arguments: Sequence[str]) -> Callable[..., None]:
    """Returns the command of a call: the report, or what shows devices."""
    return typer_function(Report if arguments[:1] == ["report"] else Devices)
