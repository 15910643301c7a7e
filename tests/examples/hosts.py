"""The hosts of the service in other languages, compiled; a host whose compiler is not installed is skipped by name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Host:
    """A compiled host: the words that start it, and how it prints 0.729 ml of bone."""

    words: tuple[str, ...]
    volume: str

    def arguments(self, client: httpx.Client, scan: Path, output: Path) -> list[str]:
        """Returns the words that segment a scan on a service."""
        return [*self.words, str(client.base_url), str(scan), str(output)]

    def run(
        self, client: httpx.Client, scan: Path, output: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        words = self.arguments(client, scan, output)
        return subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


def compiled_cpp(folder: Path) -> Host:
    """Compiles the C++ host, warnings being errors."""
    _need("g++", "g++ libcurl4-openssl-dev")
    target = folder / "segment"
    source = EXAMPLES / "device-cpp" / "segment.cpp"
    words = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(target), "-lcurl"]
    done = subprocess.run(words, capture_output=True, text=True)
    if "curl/curl.h: No such file" in done.stderr:
        pytest.skip("libcurl's headers are not installed (Debian: apt install libcurl4-openssl-dev)")
    assert done.returncode == 0, done.stderr
    return Host((str(target),), '"bone":0.729')


def compiled_csharp(folder: Path) -> Host:
    """Compiles the C# host with Mono, warnings being errors."""
    packages = "mono-mcs mono-runtime libmono-system-net-http4.0-cil libmono-system-runtime-serialization4.0-cil"
    _need("mcs", packages)
    _need("mono", packages)
    target = folder / "segment.exe"
    sources = sorted(str(path) for path in (EXAMPLES / "device-csharp").glob("*.cs"))
    done = _mcs(["-warnaserror", f"-out:{target}", "-r:System.Net.Http", "-r:System.Runtime.Serialization", *sources])
    if "CS0006" in done.stdout + done.stderr:  # an assembly is not found
        pytest.skip(f"Mono's libraries are not installed (Debian: apt install {packages})")
    assert done.returncode == 0, done.stdout + done.stderr
    return Host(("mono", str(target)), "bone: 0.729 ml")


def _mcs(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mcs", *words], capture_output=True, text=True)


def _need(command: str, packages: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed (Debian: apt install {packages})")
