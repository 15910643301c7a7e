"""Refused uploads: their senders see why, and none keeps its connection."""

import socket
from contextlib import contextmanager

import pytest

from .running import API, BYTES, running, scan_bytes

LENGTH = 50_000_000  # more than the system's buffers hold


@contextmanager
def refused_upload(service, *headers):
    """A connection that has sent the header of an upload without its type, which is refused before it is read."""
    with socket.create_connection(("127.0.0.1", service.base_url.port)) as made:
        made.settimeout(30)
        lines = (f"POST /{API}jobs HTTP/1.1", "Host: localhost", f"Content-Length: {LENGTH}", *headers, "", "")
        made.sendall("\r\n".join(lines).encode())
        yield made


@pytest.fixture(scope="module")
def hasty(toy_bundle):
    with running(toy_bundle, unread_seconds=0.3) as client:
        yield client


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
def test_a_client_that_sends_everything_first_sees_the_answer(client, headers):
    with refused_upload(client, *headers) as upload:
        upload.sendall(bytes(LENGTH))
        assert upload.recv(10_000).startswith(b"HTTP/1.1 415")


def test_a_client_that_goes_on_sending_is_closed(hasty):
    with refused_upload(hasty) as upload:
        assert upload.recv(10_000).startswith(b"HTTP/1.1 415")
        upload.settimeout(0.05)
        for _ in range(400):
            try:
                upload.sendall(b"x")
                if upload.recv(10_000) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("the connection is still open")


def test_a_client_that_stops_within_its_upload_is_told_and_closed(hasty):
    with refused_upload(hasty) as upload:
        upload.sendall(b"x")
        answer = b"".join(iter(lambda: upload.recv(10_000), b""))
    assert b"connection: close" in answer.lower()


def test_a_refused_body_that_was_read_keeps_the_connection(hasty):
    answer = hasty.post(f"{API}jobs", content=b"no scan", headers=BYTES)
    assert (answer.status_code, answer.headers.get("connection")) == (422, None)
    assert hasty.post_scan(scan_bytes()).status_code == 202
