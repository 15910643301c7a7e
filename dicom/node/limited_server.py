"""The server of a node: pynetdicom's, which refuses unknown addresses and bounds what one connection may take."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections import defaultdict, deque
from contextlib import suppress
from socketserver import TCPServer
from typing import Any, cast

from pynetdicom import AE, Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from ...runtime.errors import ResourceError
from ...runtime.log import log_failure
from .sections import Access, Limits, Listening

_log = logging.getLogger("bedside.node")

_LARGEST_PDU = 1 << 20  # a peer that was told 16 KiB needs no more; the length field could say 4 GiB
_MINUTE = 60.0


def not_listening(node: Listening, error: OSError) -> ResourceError:
    """Returns why a node cannot listen."""
    return ResourceError(
        f"cannot listen on {node.address}, port {node.port} ({error.strerror or type(error).__name__}); is another "
        "node running?"
    )


class ConnectionRate:
    """Counts the connections of each address within a minute.

    Args:
        per_minute: how many an address may open.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._opened: defaultdict[str, deque[float]] = defaultdict(deque)

    def takes(self, address: str, now: float) -> bool:
        """Counts a connection and returns whether it is within the limit."""
        for known in [each for each, opened in self._opened.items() if opened[-1] < now - _MINUTE]:
            del self._opened[known]
        opened = self._opened[address]
        while opened and opened[0] < now - _MINUTE:
            opened.popleft()
        if len(opened) >= self._per_minute:
            return False
        opened.append(now)
        return True


class CountingEntity(AE):
    """An application entity whose limit of associations counts those that were asked for, and no idle connections."""

    @property
    def active_associations(self) -> list[Association]:
        """The associations that run and whose request was read."""
        return [each for each in super().active_associations if each.requestor.primitive is not None]


class LimitedSocket(AssociationSocket):
    """A connection that bounds a PDU's size and time, and the bytes between two complete messages."""

    limits: Limits
    received: int = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Reads some bytes; raises OSError where the peer sends too much, or too slowly."""
        connection = self.socket
        if connection is None:
            raise OSError("the connection is closed")
        self.received += nr_bytes
        if nr_bytes > _LARGEST_PDU or self.received > self.limits.max_instance_mib * 2**20 + _LARGEST_PDU:
            raise OSError("the peer sends more than the limit")
        until = time.monotonic() + self.limits.timeout_seconds
        content, done = bytearray(nr_bytes), 0
        view = memoryview(content)
        while done < nr_bytes:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the peer is too slow")
            connection.settimeout(left)
            count = connection.recv_into(view[done:])
            if not count:
                break
            done += count
        connection.settimeout(self.limits.timeout_seconds)  # also for what is sent
        view.release()
        return content[:done]


class _LimitedHandler(RequestHandler):
    def _create_association(self) -> Any:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # pynetdicom's own socket has announced the connection already
        limited = LimitedSocket(association, client_socket=self.request)
        limited.limits = cast(LimitedServer, self.server).limits
        association.dul.socket = limited
        return association


class LimitedServer(ThreadedAssociationServer):
    """Accepts connections of known addresses, so many a minute.

    Args:
        arguments: those of `ThreadedAssociationServer`.
        access: who may connect.
        limits: how much one may send.
        options: named ones likewise.
    """

    daemon_threads = True

    def __init__(self, *arguments: Any, access: Access, limits: Limits, **options: Any) -> None:
        self.access = access
        self.limits = limits
        self._rate = ConnectionRate(limits.connections_per_minute)
        super().__init__(*arguments, request_handler=_LimitedHandler, **options)

    def get_request(self) -> tuple[Any, Any]:
        """Accepts a connection; the TLS handshake follows in its own thread, where a slow peer keeps nobody waiting."""
        connection, address = cast(socket.socket, self.socket).accept()
        connection.settimeout(self.limits.timeout_seconds)
        if self.ssl_context is not None and self.access.accepts(str(address[0])):
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is accepted."""
        address = str(client_address[0])
        return self.access.accepts(address) and self._rate.takes(address, time.monotonic())

    def shutdown(self) -> None:
        """Stops to listen, aborts the associations that are open, and closes connections that asked for none."""
        TCPServer.shutdown(self)
        self.server_close()
        for association in self.active_associations:
            connection = association.dul.socket
            if association.requestor.primitive is not None:
                association.abort()
            elif connection is not None and connection.socket is not None:  # pynetdicom aborts nothing before a request
                with suppress(OSError):  # the peer has gone
                    connection.socket.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs that a connection broke early, in place of socketserver's traceback on stderr."""
        error = sys.exc_info()[1]
        _log.info("a connection broke before it asked for an association (%s)", type(error).__name__)
        if error is not None:
            log_failure("a connection broke", error)
