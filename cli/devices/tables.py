"""The tables of `bedside devices`: this machine, its engines, the known devices, and all figures of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...devices import DeviceProfile, Host
    from ...devices.hardware.device_profile import Software
    from ...runtime.engines import InferenceDevice


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
