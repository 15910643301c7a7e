"""DCMTK's program storescp, started for one connection as inetd does, with what it accepts and how much it may use."""

from __future__ import annotations

import math
import os
import resource
import shutil
import socket
import subprocess
from pathlib import Path

from ...processes.signals import sigint_blocked
from ...runtime.errors import ResourceError
from ...runtime.files.atomic import atomic_write
from ..frames import SCAN_CLASSES
from .accepted import SYNTAXES
from .config import NodeConfig

_VERIFICATION = "1.2.840.10008.1.1"
_OWN_BYTES = 512 * 2**20  # address space of the program itself, with its libraries and dictionary
_PROFILE = "Node"
_LOG = "storescp.log"
_RELEASED = "Association Release"


def find_storescp() -> str:
    """Returns the path of storescp.

    Raises:
        ResourceError: it is not installed.
    """
    found = shutil.which("storescp")
    if found is None:
        raise ResourceError(
            'node.storescp = "dcmtk" needs the program storescp on the path, which is not installed; install DCMTK '
            '(Debian: apt install dcmtk), or use "pynetdicom"'
        )
    return found


def write_profile(path: Path) -> None:
    """Writes the kinds of objects and transfer syntaxes that are accepted, in DCMTK's format (asconfig.txt)."""
    syntaxes = [f"TransferSyntax{number} = {each}" for number, each in enumerate(SYNTAXES, 1)]
    contexts = [
        f"PresentationContext{number} = {kind}\\All"
        for number, kind in enumerate((_VERIFICATION, *sorted(SCAN_CLASSES)), 1)
    ]
    lines = [
        "[[TransferSyntaxes]]", "[All]", *syntaxes, "[[PresentationContexts]]", "[Scans]", *contexts, "[[Profiles]]",
        f"[{_PROFILE}]", "PresentationContexts = Scans",
    ]  # fmt: skip
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def start_storescp(
    program: str, config: NodeConfig, connection: socket.socket, folder: Path, profile: Path, lock: int
) -> subprocess.Popen[bytes]:
    """Starts storescp for one connection.

    Args:
        program: its path.
        config: its title, and how much it takes.
        connection: an accepted connection; the caller closes its own copy.
        folder: where it writes.
        profile: what `write_profile` wrote.
        lock: file descriptor that it inherits, so that a lock lasts as long as the process; its id is written there.

    Raises:
        OSError: it cannot be started.
    """
    log = folder / "log.cfg"
    log.write_text(
        "log4cplus.rootLogger = OFF\n"
        "log4cplus.logger.dcmtk.apps.storescp = INFO, F\n"
        "log4cplus.appender.F = log4cplus::FileAppender\n"
        f"log4cplus.appender.F.File = {folder / _LOG}\n"
        "log4cplus.appender.F.layout = log4cplus::PatternLayout\n"
        "log4cplus.appender.F.layout.ConversionPattern = %m%n\n"
    )
    seconds = str(math.ceil(config.limits.timeout_seconds))
    words = [
        program, "--inetd", "--config-file", str(profile), _PROFILE, "--disable-host-lookup", "--aetitle",
        config.node.ae_title, "--socket-timeout", seconds, "--acse-timeout", seconds, "--dimse-timeout", seconds,
        "--unique-filenames", "--output-directory", str(folder / "files"), "--log-config", str(log),
    ]  # fmt: skip
    connection.setblocking(True)
    silent = subprocess.DEVNULL
    with sigint_blocked():
        process = subprocess.Popen(
            words, stdin=connection.fileno(), stdout=silent, stderr=silent, pass_fds=[lock], cwd="/"
        )
    os.write(lock, str(process.pid).encode())
    largest = int(config.limits.max_instance_mib * 2**20)
    try:
        _limit(process.pid, resource.RLIMIT_FSIZE, largest)
        _limit(process.pid, resource.RLIMIT_AS, 2 * largest + _OWN_BYTES)
        _limit(process.pid, resource.RLIMIT_CORE, 0)  # a core dump would hold the scan
    except ProcessLookupError:
        pass  # it has ended, and wrote what it wrote
    return process


def was_released(folder: Path) -> bool:
    """Whether the association ended as agreed, and was not aborted or broken."""
    log = folder / _LOG
    return log.exists() and log.read_text(errors="replace").rstrip().endswith(_RELEASED)


def _limit(process: int, what: int, value: int) -> None:
    resource.prlimit(process, what, (value, value))
