"""The file that a probe leaves: how long each kernel took, on which machine, with which engines and threads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ...runtime.checked_struct import CheckedStruct
from ...runtime.engines.engine import Precision
from ...runtime.errors import FieldError, InputError
from ...runtime.files.atomic import atomic_write
from ...runtime.files.text import read_utf8
from .kernels import Kind

VERSION = 1
"""Version of the file; it is raised when the kernels or the fields change, because both decide what the times mean."""

PROBE_MARKS = ('"file": "bedside probe"',)  # tell a probe from other files; see `check_writable`

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Positions = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]


class KernelTime(CheckedStruct, frozen=True, kw_only=True):
    """The time of a kernel.

    Attributes:
        kind: what it does.
        inner: channels of its input; of a product, those that each value of the output sums over.
        columns: channels of its output.
        rows: positions of its output.
        edge: voxels of its network's window along each axis.
        quantized: whether it computes in int8.
        seconds: time of one kernel, in s; of ``call``, of a node that computes almost nothing.
        network_seconds: time of the network with the kernel once, in s.
        calls: how often each network ran.
    """

    kind: Kind
    inner: Count
    columns: Count
    rows: Positions
    edge: Count
    quantized: bool
    seconds: Seconds
    network_seconds: Seconds
    calls: Count


class Series(CheckedStruct, frozen=True, kw_only=True):
    """The kernels in one engine, precision and number of threads.

    Attributes:
        engine: row of the engine table.
        precision: precision of the networks.
        threads: threads of the engine.
        kernels: the kernels; one that the engine refused is absent.
        refused: a sentence for each kernel that the engine refused or whose time was lost in noise.
    """

    engine: str
    precision: Precision
    threads: Count
    kernels: tuple[KernelTime, ...]
    refused: tuple[str, ...] = ()


class ProbedHost(CheckedStruct, frozen=True, kw_only=True):
    """The machine that was probed.

    Attributes:
        cpu: model of its processor.
        architecture: ``x86_64``, ``aarch64``, …
        features: instruction sets that matter.
        usable_cores: hardware threads that the probe could use.
        cpu_quota: CPUs that control groups granted; None for no limit.
        profile: key of the matching profile; None where there is none.
        load_average: load of the machine before the probe; None where not readable.
        board: the device tree's name of a Jetson; empty elsewhere.
        power_mode: name of its power mode; empty elsewhere, and where not readable.
    """

    cpu: str
    architecture: str
    features: tuple[str, ...]
    usable_cores: Count
    cpu_quota: float | None
    profile: str | None
    load_average: float | None
    board: str = ""
    power_mode: str = ""


class Probe(CheckedStruct, frozen=True, kw_only=True):
    """What a probe measured.

    Attributes:
        file: says what the file is.
        version: version of the file.
        bedside_version: version of this package that probed.
        host: the machine.
        engines: version of each engine's package.
        series: the times.
        seconds: how long the probe took, in s.
        warnings: what may have disturbed it, as sentences.
        clock: what was measured: time, or processor time divided by the threads, which other programs disturb less.
    """

    file: Literal["bedside probe"] = "bedside probe"
    version: Literal[1] = VERSION
    bedside_version: str
    host: ProbedHost
    engines: dict[str, str]
    series: tuple[Series, ...]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    warnings: tuple[str, ...] = ()
    clock: Literal["time", "processor time"] = "time"


class _VersionOnly(msgspec.Struct):
    file: str = ""
    version: int = 0


def write_probe(path: Path, probe: Probe) -> None:
    """Writes a probe as JSON.

    Raises:
        ResourceError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(probe), indent=1) + b"\n")


def read_probe(path: Path) -> Probe:
    """Reads a probe.

    Raises:
        InputError: the file cannot be read, is no probe, is of another version, or a field is wrong.
    """
    named = f'probe "{path.name}"'
    text = read_utf8(path, named)
    try:
        first = msgspec.json.decode(text, type=_VersionOnly)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{named}: expected what bedside devices probe -o writes; {error}") from None
    if first.file != "bedside probe":
        raise InputError(f"{named}: expected what bedside devices probe -o writes, got another JSON file")
    if first.version != VERSION:
        raise InputError(
            f"{named}: it is of version {first.version}, this bedside reads version {VERSION}; probe the device again "
            "with the same version of bedside as here"
        )
    try:
        return msgspec.json.decode(text, type=Probe)
    except (msgspec.DecodeError, FieldError, RecursionError) as error:
        raise InputError(f"{named}: {error}; probe the device again") from None
