"""Decides who is answered: the Host header, the page's origin, the token; adds the headers that protect the page."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..runtime.errors import ExitCode
from .json_answer import refusal_response
from .refusal import RefusedError, busy
from .settings import Settings

API = "/api/"
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Wraps an application: requests that are not for it, or not from whom it serves, do not reach it.

    Args:
        app: the application.
        settings: token and names.
        is_full: whether more connections are open than may be.
    """

    def __init__(self, app: ASGIApp, settings: Settings, is_full: Callable[[], bool] = lambda: False) -> None:
        self._app, self._settings, self._is_full = app, settings, is_full
        own = ("localhost", socket.gethostname(), settings.host, *settings.names)
        self._names = {name.lower().strip("[]") for name in own}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves or refuses one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        is_full = self._is_full()

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if is_full:
                    headers["Connection"] = "close"
                if scope["path"].startswith(API):
                    headers["Cache-Control"] = "no-store"
            # A client that does not take its answer keeps neither a file nor a task open.
            await asyncio.wait_for(send(message), self._settings.answer_seconds)

        try:
            if is_full:
                raise busy("the service has as many connections as it serves at a time; try again later")
            self._check(Headers(scope=scope), scope)
        except RefusedError as refused:
            await refusal_response(refused)(scope, receive, protected)
            return
        try:
            await self._app(scope, receive, protected)
        except asyncio.TimeoutError:
            return

    def _check(self, headers: Headers, scope: dict[str, Any] | Scope) -> None:
        host = headers.get("host", "")
        if not self._is_own(host_name(host)):
            raise RefusedError(
                421,
                "the Host header names another machine; call the service by its address, or have it started with this "
                "name",
                ExitCode.USAGE,
            )
        if not scope["path"].startswith(API):
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") or (origin is not None and origin.partition("://")[2] != host):
            raise RefusedError(403, "requests of other web pages are refused", ExitCode.USAGE)
        if self._settings.token is not None:
            kind, _, given = headers.get("authorization", "").partition(" ")
            # Compared in constant time, as bytes, so that no part of the token can be guessed by time.
            is_right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._settings.token.encode())
            if kind.lower() != "bearer" or not is_right:
                raise RefusedError(401, "a token is needed: Authorization: Bearer TOKEN", ExitCode.USAGE)

    def _is_own(self, name: str) -> bool:
        """Whether a name is this machine's; an address always is: a page of another site is never called by one."""
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def host_name(header: str) -> str:
    """Returns the name in a Host header, without the port.

    >>> host_name("localhost:8650"), host_name("[::1]:8650"), host_name("10.0.0.5")
    ('localhost', '::1', '10.0.0.5')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
