"""The environments that services put a command in: closed streams, no reader, a full disk, no name, no home.

Each is a name and what makes it, from a shell's redirections to the variables of the caller.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

NAMELESS = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]  # the caller's rights under an unknown id
NAMES = dict.fromkeys(("USER", "LOGNAME", "LNAME", "USERNAME"))
NO_HOME = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"))
CACHED = {**NO_HOME, "BEDSIDE_CACHE": None}  # only where no folder for the cache can be made
FORGETFUL = """
import pwd
def missing(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = missing
"""  # a sitecustomize.py for machines that forbid new user ids


@dataclass(frozen=True)
class Environment:
    """What surrounds a command.

    Attributes:
        shell: how a shell calls the command ``"$@"``.
        variables: changes to the caller's; None takes one away.
        folder: the working folder; None: the test's.
        reads: what becomes of stdout and stderr: read both (``"all"``), read neither, the pipe has no reader
            (``"nothing"``), or read one line of both and leave (``"a line"``).
        nameless: the user id has no name.
        stdout: whether what is printed there is ``"read"``, ``"gone"`` without a word, or meets a ``"full"`` disk.
    """

    shell: str = 'exec "$@"'
    variables: Mapping[str, str | None] = field(default_factory=dict)
    folder: str | None = None
    reads: str = "all"
    nameless: bool = False
    stdout: str = "read"


ENVIRONMENTS = {
    "as it is": Environment(),
    "stdin closed": Environment('exec "$@" 0<&-'),
    "stdout closed": Environment('exec "$@" >&-', stdout="gone"),
    "stderr closed": Environment('exec "$@" 2>&-'),
    "stdin and stderr closed": Environment('exec "$@" 0<&- 2>&-'),
    "stdout and stderr closed": Environment('exec "$@" >&- 2>&-', stdout="gone"),
    "all three closed": Environment('exec "$@" 0<&- >&- 2>&-', stdout="gone"),
    "no reader": Environment('exec "$@" 2>/dev/null', reads="nothing", stdout="gone"),
    "no reader of either": Environment(reads="nothing", stdout="gone"),
    "one line read of both": Environment(reads="a line", stdout="gone"),
    "stdout on a full disk": Environment('exec "$@" >/dev/full', stdout="full"),
    "stderr on a full disk": Environment('exec "$@" 2>/dev/full'),
    "both on a full disk": Environment('exec "$@" >/dev/full 2>&1', stdout="full"),
    "SIGINT and SIGHUP ignored": Environment('trap "" INT HUP; exec "$@"'),
    "no name": Environment(nameless=True),
    "no name and no HOME": Environment(nameless=True, variables=CACHED),
    "no HOME": Environment(variables=NO_HOME),
    "HOME that is not there": Environment(variables={**CACHED, "HOME": "/nowhere/home"}),
    "HOME read-only": Environment(variables={**CACHED, "HOME": "/proc"}),
    "cache read-only": Environment(variables={**CACHED, "XDG_CACHE_HOME": "/proc"}),
    "TMPDIR that is not there": Environment(variables={"TMPDIR": "/nowhere/tmp"}),
    "working folder read-only": Environment(folder="/proc"),
    "ASCII": Environment(variables={"PYTHONIOENCODING": "ascii"}),
    "latin-1": Environment(variables={"PYTHONIOENCODING": "latin-1"}),
    "cp1252": Environment(variables={"PYTHONIOENCODING": "cp1252"}),
    "C locale": Environment(variables={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    "no locale": Environment(variables=dict.fromkeys(("LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8"))),
    "dumb terminal": Environment(variables={"TERM": "dumb", "NO_COLOR": "1"}),
    "no terminal type": Environment(variables={"TERM": None}),
    "no columns": Environment(variables={"COLUMNS": "0"}),
    "20 columns": Environment(variables={"COLUMNS": "20"}),
    "99999 columns": Environment(variables={"COLUMNS": "99999"}),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what was read of its streams."""

    code: int
    out: bytes
    err: bytes


def run_in(environment: Environment, words: Sequence[object], folder: Path) -> Ended:
    """Runs ``bedside WORDS`` in an environment; the working folder is the test's unless that has another."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "BEDSIDE_CACHE": "off", **environment.variables}
    command = ["sh", "-c", environment.shell, "sh", sys.executable, "-m", "bedside", *map(str, words)]
    if environment.nameless:
        variables |= NAMES
        if _new_ids_allowed():
            command = [*NAMELESS, *command]
        else:
            (folder / "sitecustomize.py").write_text(FORGETFUL)
            variables["PYTHONPATH"] = f"{folder}{os.pathsep}{variables.get('PYTHONPATH') or ''}"
    present = {name: value for name, value in variables.items() if value is not None}
    where = environment.folder or folder
    if environment.reads == "all":
        done = subprocess.run(command, env=present, cwd=where, capture_output=True, timeout=300)
        return Ended(done.returncode, done.stdout, done.stderr)
    reading, writing = os.pipe()
    process = subprocess.Popen(command, env=present, cwd=where, stdout=writing, stderr=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        line = pipe.readline() if environment.reads == "a line" else b""
    return Ended(process.wait(300), line, b"")


@cache
def _new_ids_allowed() -> bool:
    """Whether the kernel gives this user another id; containers often forbid it."""
    return (
        shutil.which("unshare") is not None and subprocess.run([*NAMELESS, "true"], capture_output=True).returncode == 0
    )
