"""Connections end whose clients send too slowly, or do not take their answers."""

import asyncio
import contextlib
import socket
import time

import httpx
import pytest
import uvicorn
from bedside.service import app
from bedside.service.timed_protocol import timed_protocol
from uvicorn.server import ServerState

from .running import API, running, scan_bytes

SECONDS = 60  # far more than any of it takes
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nA: "])
def test_a_connection_without_a_whole_request_is_closed(toy_bundle, sent):
    with (
        running(toy_bundle, header_seconds=0.5) as client,
        socket.create_connection(("127.0.0.1", client.base_url.port)) as slow,
    ):
        slow.sendall(sent)
        slow.settimeout(20)
        began = time.monotonic()
        assert slow.recv(100) == b""
        assert time.monotonic() - began < 10


def test_a_second_request_on_a_connection_has_to_come_in_time_too(toy_bundle):
    with (
        running(toy_bundle, header_seconds=1) as client,
        socket.create_connection(("127.0.0.1", client.base_url.port)) as slow,
    ):
        slow.settimeout(20)
        slow.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(10000).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /api/v1 HT")
        began = time.monotonic()
        while slow.recv(10000):
            pass
        assert time.monotonic() - began < 10


def test_a_client_that_does_not_take_its_answer_is_given_up(toy_bundle, tmp_path):
    with running(toy_bundle, answer_seconds=0.5, folder=tmp_path) as client:
        content = scan_bytes((220, 220, 220))  # more than the system's buffers hold
        job = client.post_scan(content).json()
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as slow:
            slow.sendall(f"GET /{API}jobs/{job['id']}/scan HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            time.sleep(2)
            slow.settimeout(20)
            taken = 0
            with contextlib.suppress(ConnectionError):
                while part := slow.recv(2**20):
                    taken += len(part)
        assert 0 < taken < len(content)
        assert client.delete(f"{API}jobs/{job['id']}").status_code == 204


def test_clients_that_take_nothing_do_not_keep_their_connections(toy_bundle, tmp_path, monkeypatch):
    """A file of the page needs no token."""
    (tmp_path / "large.js").write_bytes(bytes(2**24))
    monkeypatch.setattr(app, "FOLDER", tmp_path)
    limits = {"connections": 1, "answer_seconds": 0.05, "token": "0123456789abcdef"}
    with running(toy_bundle, **limits) as client, contextlib.ExitStack() as held:
        client.close()
        for _ in range(2):
            slow = held.enter_context(socket.create_connection(("127.0.0.1", client.base_url.port)))
            slow.sendall(REQUEST.replace(b"/ ", b"/page/large.js ", 1))
        until = time.monotonic() + SECONDS
        while (status := httpx.get(f"{client.base_url}nothing").status_code) == 503:
            assert time.monotonic() < until
    assert status == 404


@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n"])
def test_an_answer_that_fits_into_the_buffer_has_to_be_taken_too(end):
    """Closing waits for the buffer to empty, and uvicorn counts a connection until it is closed."""

    async def answered(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"60000")]})
        await send({"type": "http.response.body", "body": bytes(60000)})

    async def connections_end():
        config, state = uvicorn.Config(answered, log_config=None, timeout_keep_alive=0), ServerState()
        config.load()
        made = timed_protocol(SECONDS, 0.05)
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so that the system holds next to nothing
            server = await loop.create_server(lambda: made(config, state, {}), sock=listener)
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(listener.getsockname())
                slow.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\n" + end + b"\r\n"))
                while state.total_requests == 0:
                    await asyncio.sleep(0.01)
                while state.connections:
                    await asyncio.sleep(0.01)
            server.close()

    asyncio.run(asyncio.wait_for(connections_end(), SECONDS))
