"""Ends requests whose body was not wanted: the rest of it is dropped for a while, then the connection is closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class DropUnread:
    """Wraps an application that may answer, a refusal mostly, before it has read the whole body of a request.

    Closed at once, the connection would be reset, and a client that is still sending would not see the answer. Kept, it
    would be held by a client that never ends.

    Args:
        app: the application.
        seconds: how long the rest of a body is read and dropped.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        comes = True

        async def watched() -> Message:
            nonlocal comes
            message = await receive()
            comes = message.get("more_body", False)  # no more after a disconnect, too
            return message

        async def drop() -> None:
            while comes:
                await watched()

        async def ending(message: Message) -> None:
            if comes and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            elif comes and not message.get("more_body", False):
                await send({**message, "more_body": True})  # the whole answer, before the server may close
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(drop(), self._seconds)
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, watched, ending)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
