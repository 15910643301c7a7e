"""The HTTP protocol of a connection, with times for what its client has to send and to take."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def timed_protocol(header_seconds: float, answer_seconds: float) -> type[H11Protocol]:
    """Returns a protocol that ends connections whose client is too slow.

    Args:
        header_seconds: within which a request's header must be complete; else the connection is closed.
        answer_seconds: within which a client must take the next part of an answer, as `Guard` sees to it. Closing waits
            for the client to take what the connection still holds; after twice the time the connection is cut.
    """

    class Protocol(H11Protocol):
        _header: asyncio.TimerHandle | None = None
        _answer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            super().connection_made(transport)
            # `pause_writing` whenever the client has not taken everything; with 0, TLS pauses before there is anything
            transport.set_write_buffer_limits(high=1)
            self._watch_header()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_header()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch_header()  # part of the next request may be here already

        def pause_writing(self) -> None:
            super().pause_writing()
            self._answer = self.loop.call_later(2 * answer_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._answer = _cancelled(self._answer)
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self._header, self._answer = _cancelled(self._header), _cancelled(self._answer)
            super().connection_lost(exc)

        def _watch_header(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._header = _cancelled(self._header)
            elif self._header is None:
                self._header = self.loop.call_later(header_seconds, self._close_late)

        def _close_late(self) -> None:
            self._header = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.close()

    return Protocol


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
