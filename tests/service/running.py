"""A service that runs in a thread of the test or in a process of its own, and a client of it."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
from bedside.runtime.engine_selection.engine_request import EngineRequest
from bedside.service.served_bundle import ServedBundle, bundle_names
from bedside.service.server import serve
from bedside.service.settings import Settings

BYTES = {"Content-Type": "application/octet-stream"}
API = "api/v1/"
SECONDS = 60


def scan_bytes(shape: Sequence[int] = (14, 12, 10)) -> bytes:
    """A NIfTI file: bone (1,000 HU) in fat (0 HU) in air (−1,000 HU), voxels of 3 mm."""
    hu = np.full(shape, -1000, np.int16)
    hu[2:-2, 2:-2, 2:-2] = 0
    hu[5:8, 5:8, 4:7] = 1000
    return nib.Nifti1Image(hu, np.diag([3.0, 3, 3, 1])).to_bytes()


def zip_bytes(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files, name → content."""
    pairs = files.items() if isinstance(files, Mapping) else files
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return buffer.getvalue()


class Client(httpx.Client):
    """A client of a running service."""

    def post_scan(self, content: Any = None, **query: Any) -> httpx.Response:
        """Posts a scan, `scan_bytes` if none is given."""
        content = scan_bytes() if content is None else content
        return self.post(API + "jobs", content=content, params=query, headers=BYTES)

    def finished(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Follows a job's events to the end and returns the last one."""
        return self.events(job)[-1][1]

    def events(self, job: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """All events of a job to its end, as (kind, content)."""
        found: list[tuple[str, dict[str, Any]]] = []
        with self.stream("GET", f"{API}jobs/{job['id']}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    found.append((kind, json.loads(line.removeprefix("data: "))))
        return found


@contextmanager
def running(*bundles: Path, **changes: Any) -> Iterator[Client]:
    """Serves bundles on a free port of the loopback until the block ends; changes are those of `Settings`."""
    settings = Settings(**{"port": 0, **changes})
    answers, stop = threading.Event(), threading.Event()
    url: list[str] = []

    def started(at: str) -> None:
        url.append(at)
        answers.set()

    asked = EngineRequest(engine="onnxruntime", precision="fp32", threads=1)
    with ExitStack() as opened:
        served = [
            opened.enter_context(ServedBundle.opened(name, path, asked))
            for name, path in zip(bundle_names(bundles), bundles, strict=True)
        ]
        thread = threading.Thread(target=serve, args=(served, settings, started, stop))
        thread.start()
        try:
            assert answers.wait(SECONDS)
            with Client(base_url=url[0], timeout=SECONDS) as client:
                yield client
        finally:
            stop.set()
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextmanager
def process(
    bundle: Path, folder: Path, *words: str, debug: bool = False
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`bedside serve` in a process of its own; yields it and the URL."""
    command = [
        sys.executable,
        "-m",
        "bedside",
        *(["--debug"] if debug else []),
        "serve",
        bundle,
        "--port",
        "0",
        "--json",
    ]
    command += ["--engine", "onnxruntime", "--precision", "fp32", "--threads", "1", "--folder", folder, *words]
    with subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    ) as child:
        try:
            line = child.stdout.readline()
            assert line, child.stderr.read()
            yield child, json.loads(line)["url"]
        finally:
            if child.poll() is None:
                child.kill()


def many_windows() -> bytes:
    """A scan that takes long enough for a signal to come meanwhile."""
    return scan_bytes((150, 150, 150))
