"""Runs the service until a signal ends it."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn

from ..runtime.errors import UsageError
from .api import Api
from .app import application
from .jobs import Jobs
from .served_bundle import ServedBundle
from .settings import Settings
from .timed_protocol import timed_protocol
from .worker import Worker

_END_SECONDS = 3  # that transfers in progress have after the signal
_BACKLOG = 128
_Condition = Callable[[], bool]


def serve(
    bundles: Sequence[ServedBundle],
    settings: Settings,
    started: Callable[[str], None],
    stop: threading.Event | None = None,
) -> None:
    """Serves bundles until SIGTERM or SIGINT, which then take their course in the caller, or until it is stopped.

    In another thread than the main one no signal is handled.

    Args:
        bundles: the bundles, the default first.
        settings: where to listen, and limits.
        started: called with the URL when the service answers.
        stop: ends the service when it is set; None: signals alone do.

    Raises:
        UsageError: the address cannot be listened on.
        ResourceError: there is no place for the scans' files, or the worker process cannot open the bundles.
    """
    with Jobs(settings) as jobs, _listening(settings) as listener:
        worker = Worker([bundle.source for bundle in bundles])
        for bundle in bundles:
            bundle.segmenter.release_engines()  # the worker process has its own
        try:
            server = _Server(
                settings,
                lambda is_closing, is_full: application(
                    Api(bundles, jobs, worker, settings, is_closing), jobs, settings, is_full
                ),
            )
            server.on_start, server.stop = lambda: started(_url(listener, settings)), stop or threading.Event()
            server.run(sockets=[listener])
        finally:
            jobs.cancel_all()
            worker.close()


class _Server(uvicorn.Server):
    """A server that tells when it answers, and ends streams of events when a signal comes."""

    def __init__(self, settings: Settings, application: Callable[[_Condition, _Condition], Any]) -> None:
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).disabled = True  # they would log addresses and paths
        self.on_start: Callable[[], None] = lambda: None
        self.stop = threading.Event()
        self._connections = settings.connections
        super().__init__(
            uvicorn.Config(
                application(lambda: self.should_exit, self._is_full),
                http=timed_protocol(settings.header_seconds, settings.answer_seconds),
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=settings.certificate,
                ssl_keyfile=None if settings.key is None else str(settings.key),
                timeout_keep_alive=10,
                timeout_graceful_shutdown=_END_SECONDS,
            )
        )

    def _is_full(self) -> bool:
        return len(self.server_state.connections) > self._connections  # uvicorn counts the one that asks, too

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self.on_start()

    async def on_tick(self, counter: int) -> bool:
        """Says, ten times a second, whether to end."""
        if self.stop.is_set():
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends at the first signal."""
        self.should_exit = True
        super().handle_exit(sig, frame)


def _listening(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {settings.host}, port {settings.port} ({reason}); choose another --port or --host"
        ) from None


def _url(listener: socket.socket, settings: Settings) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.certificate is None else "https"
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
