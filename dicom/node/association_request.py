"""Reads who asks for an association, before another program is given the connection, and rejects it.

The layout is that of PS3.8, section 9.3: the type of the PDU, its length, then the titles at fixed places.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

_REQUEST = 1
_TITLES_END = 42  # bytes up to the end of the calling title
_LARGEST_REQUEST = 1 << 16
_POLL_SECONDS = 0.01


class Rejection(Enum):
    """Why an association is rejected: result, source and reason of A-ASSOCIATE-RJ (PS3.8, table 9-21)."""

    CALLING_TITLE = (1, 1, 3)
    CALLED_TITLE = (1, 1, 7)
    CONGESTION = (2, 3, 1)
    TOO_MANY = (2, 3, 2)


@dataclass(frozen=True)
class Titles:
    """The application entity titles of a request.

    Attributes:
        called: whom the peer calls.
        calling: who the peer says it is.
    """

    called: str
    calling: str


def peek_titles(connection: socket.socket, seconds: float) -> Titles:
    """Returns the titles of a request and leaves all bytes of it in the connection.

    Raises:
        OSError: it is no request for an association, the peer is too slow, or the connection broke.
    """
    until = time.monotonic() + seconds
    connection.settimeout(seconds)
    while len(start := connection.recv(_TITLES_END, socket.MSG_PEEK)) < _TITLES_END:
        if not start or start[0] != _REQUEST:
            break
        if time.monotonic() > until:
            raise TimeoutError("the peer is too slow")
        time.sleep(_POLL_SECONDS)
    if len(start) < _TITLES_END or start[0] != _REQUEST:
        raise OSError("the peer asked for no association")
    if int.from_bytes(start[2:6], "big") > _LARGEST_REQUEST:
        raise OSError("the peer's request is too long")
    called, calling = start[10:26], start[26:42]
    return Titles(called.decode("latin-1").strip(" \0"), calling.decode("latin-1").strip(" \0"))


def reject(connection: socket.socket, why: Rejection, seconds: float) -> None:
    """Answers that an association is rejected, and waits until the peer has gone, so that it reads the answer."""
    with suppress(OSError):
        connection.settimeout(seconds)
        connection.sendall(struct.pack(">BBLBBBB", 3, 0, 4, 0, *why.value))
        connection.shutdown(socket.SHUT_WR)
        until = time.monotonic() + seconds
        while connection.recv(4096) and time.monotonic() < until:
            pass
