"""The service as a process: signals, leftovers, slow clients, and what it says."""

import contextlib
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from bedside.runtime import UsageError
from bedside.service.server import serve
from bedside.service.settings import Settings

from .running import API, BYTES, many_windows, process, running, scan_bytes

CANARY = "Zzyzx-Qwfp"


def test_sigterm_ends_a_running_scan_and_leaves_nothing(toy_bundle, tmp_path):
    with process(toy_bundle, tmp_path, debug=True) as (child, url):
        job = httpx.post(f"{url}{API}jobs?bundle=toy", content=many_windows(), headers=BYTES).json()
        with httpx.stream("GET", f"{url}{API}jobs/{job['id']}/events", timeout=60) as events:
            lines = events.iter_lines()
            next(lines)
            assert len(list(tmp_path.iterdir())) == 1
            began = time.monotonic()
            child.send_signal(signal.SIGTERM)
            for _ in lines:
                pass
        out, said = child.communicate(timeout=60)
        assert time.monotonic() - began < 30
        assert child.returncode == 143
        assert list(tmp_path.iterdir()) == []
        assert out == ""
        assert "terminated; nothing half-written" in said


def test_ctrl_c_ends_it_with_130(toy_bundle, tmp_path):
    with process(toy_bundle, tmp_path) as (child, url):
        assert httpx.get(f"{url}api/v1").status_code == 200
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        assert child.returncode == 130
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_service_left_goes_with_the_next_start(toy_bundle, tmp_path):
    with process(toy_bundle, tmp_path) as (child, url):
        httpx.post(f"{url}{API}jobs", content=scan_bytes(), headers=BYTES)
        child.kill()
        child.wait()
    (left,) = tmp_path.iterdir()
    assert any(path.is_file() for path in left.rglob("*"))
    with running(toy_bundle, folder=tmp_path):
        (now,) = tmp_path.iterdir()
        assert now != left
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_scans_is_private(toy_bundle, tmp_path):
    with running(toy_bundle, folder=tmp_path) as client:
        client.post_scan()
        folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
        assert folders
        assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}


def test_nothing_of_the_patient_is_said_or_named(toy_bundle, tmp_path):
    """The canary is in the query, in a header, in a path and in a scan that is refused."""
    with process(toy_bundle, tmp_path, debug=True) as (child, url):
        headers = {**BYTES, "X-Patient": CANARY, "User-Agent": CANARY}
        assert httpx.post(f"{url}{API}jobs?name={CANARY}", content=scan_bytes(), headers=headers).status_code == 400
        assert httpx.get(f"{url}{CANARY}").status_code == 404
        broken = scan_bytes().replace(b"\0" * 80, CANARY.encode().ljust(80, b"\0"), 1)[:-50]
        refused = httpx.post(f"{url}{API}jobs", content=broken, headers=headers)
        assert refused.status_code == 422
        assert CANARY not in refused.text
        with socket.create_connection(("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))) as raw:
            raw.sendall(f"{CANARY}\r\n\r\n".encode())
            assert CANARY.encode() not in raw.recv(4096)
        assert not [path for path in tmp_path.rglob("*") if CANARY in path.name]
        child.send_signal(signal.SIGTERM)
        assert CANARY not in "".join(child.communicate(timeout=60))


def test_a_port_that_is_taken_is_a_usage_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="choose another --port"):
        serve([], Settings(port=taken.getsockname()[1], folder=tmp_path), print)


@pytest.mark.parametrize("connections", [1, 3])
def test_as_many_connections_as_allowed_are_served_and_one_more_is_answered_with_503(toy_bundle, connections):
    with running(toy_bundle, connections=connections) as client, contextlib.ExitStack() as held:

        def hold():
            held.enter_context(socket.create_connection(("127.0.0.1", client.base_url.port)))
            time.sleep(0.3)  # until the server has accepted it

        for _ in range(connections - 1):
            hold()
        assert client.get("api/v1").status_code == 200
        hold()
        answer = client.get("api/v1")
    assert answer.status_code == 503
    assert answer.headers["Connection"] == "close"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["error"] == {
        "code": 5, "message": "the service has as many connections as it serves at a time; try again later"
    }  # fmt: skip


def test_descriptors_do_not_grow_with_refused_requests(toy_bundle):
    with running(toy_bundle) as client:
        client.post_scan(b"no scan")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(30):
            assert client.post_scan(b"no scan").status_code == 422
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
