"""Receives with DCMTK's storescp in place of pynetdicom: a process for each association, admitted by the node.

The node itself listens, so that addresses, titles, rates and numbers are checked as with pynetdicom; then it hands the
connection over. What storescp has written enters the queue, and a process that dies ends its own association alone.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from threading import Event, Lock, Thread

from ...processes.child import end
from ...runtime.log import log_failure
from .association_request import Rejection, peek_titles, reject
from .collector import Collector
from .config import NodeConfig
from .incoming import made_folder
from .limited_server import ConnectionRate, not_listening
from .queue import Queue, QueueFullError
from .storescp_program import find_storescp, start_storescp, write_profile

_log = logging.getLogger("bedside.node")

_POLL_SECONDS = 0.1


class DcmtkReceiver:
    """Takes instances into the queue that storescp received.

    Args:
        config: whom it accepts, and how much.
        queue: where instances go.
    """

    def __init__(self, config: NodeConfig, queue: Queue) -> None:
        self._config = config
        self._queue = queue
        self._collector = Collector(queue, config.node.quiet_after_abort_seconds)
        self._rate = ConnectionRate(config.limits.connections_per_minute)
        self._lock = Lock()
        self._admitted = 0  # connections whose process has not ended
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = Event()

    @contextmanager
    def listening(self) -> Generator[int]:
        """Listens while the block runs; yields the port.

        Raises:
            ResourceError: storescp is not installed, the address is not there, or the port is taken.
        """
        node = self._config.node
        program = find_storescp()
        write_profile(self._queue.incoming / "profile.cfg")
        is_ipv6 = ":" in node.address
        try:
            server = socket.create_server(
                (node.address, node.port),
                family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
                backlog=128,
                dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),  # "::" takes IPv4 too, as with pynetdicom
            )
        except OSError as error:
            raise not_listening(node, error) from None
        server.settimeout(_POLL_SECONDS)
        listen = Thread(target=self._accept, args=(server, program), name="bedside-listen", daemon=True)
        collect = Thread(target=self._collect, name="bedside-collect", daemon=True)
        # A second signal interrupts one of these steps, and the others are still taken, from the last to the first.
        with ExitStack() as closing:
            closing.callback(self._collector.take)  # what was acknowledged up to the end
            closing.callback(self._end_running)
            closing.callback(server.close)
            closing.callback(self._stop)
            listen.start()
            closing.callback(listen.join)
            collect.start()
            closing.callback(collect.join)
            closing.callback(self._stop)
            yield int(server.getsockname()[1])

    def _stop(self) -> None:
        """Lets no storescp start from here on."""
        with self._lock:
            self._stopped.set()

    def _end_running(self) -> None:
        with self._lock:
            running = list(self._running)
        end(running)

    def _accept(self, server: socket.socket, program: str) -> None:
        while not self._stopped.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            except OSError as error:  # such as too many open files
                _log.warning("a connection cannot be accepted (%s)", type(error).__name__)
                self._stopped.wait(_POLL_SECONDS)
                continue
            host = str(address[0])
            if not (self._config.access.accepts(host) and self._rate.takes(host, time.monotonic())):
                connection.close()
                continue
            try:
                Thread(target=self._serve, args=(connection, program), name="bedside-associate", daemon=True).start()
            except RuntimeError as error:  # the system starts no more threads
                _log.warning("a connection cannot be served (%s)", error)
                connection.close()

    def _serve(self, connection: socket.socket, program: str) -> None:
        """Serves one connection, until its storescp has ended."""
        with connection:
            process = self._admitted_process(connection, program)
        if process is None:
            return
        code = process.wait()
        with self._lock:
            self._running.remove(process)
        self._leave()
        if code and not self._stopped.is_set():
            _log.warning("a storescp ended with code %d; its association broke, the others go on", code)

    def _admitted_process(self, connection: socket.socket, program: str) -> subprocess.Popen[bytes] | None:
        """Starts the storescp of a connection that is admitted; rejects any other and returns None."""
        seconds = self._config.limits.timeout_seconds
        try:
            titles = peek_titles(connection, seconds)
        except OSError as error:
            _log.info("a connection broke before it asked for an association (%s)", type(error).__name__)
            return None
        why = self._refusal(titles.called, titles.calling)
        if why is None and not self._enter():
            why = Rejection.TOO_MANY
        if why is None:
            try:
                return self._start(connection, program)
            except OSError as error:
                self._leave()
                if not self._stopped.is_set():
                    _log.warning(
                        "storescp cannot be started (%s); the sender is told to try again", type(error).__name__
                    )
                    log_failure("storescp cannot be started", error)
                why = Rejection.CONGESTION
        reject(connection, why, seconds)
        return None

    def _refusal(self, called: str, calling: str) -> Rejection | None:
        titles = self._config.access.ae_titles
        if called != self._config.node.ae_title:
            return Rejection.CALLED_TITLE
        if titles is not None and calling not in titles:
            return Rejection.CALLING_TITLE
        return Rejection.CONGESTION if self._is_full() else None

    def _enter(self) -> bool:
        with self._lock:
            if self._admitted >= self._config.limits.max_associations or self._stopped.is_set():
                return False
            self._admitted += 1
            return True

    def _leave(self) -> None:
        with self._lock:
            self._admitted -= 1

    def _start(self, connection: socket.socket, program: str) -> subprocess.Popen[bytes]:
        """Starts storescp; raises `OSError` where that fails."""
        incoming = self._queue.incoming
        folder, lock = made_folder(incoming, secrets.token_hex(8))
        try:
            with self._lock:  # so that none starts after `_stop`
                if self._stopped.is_set():
                    raise ConnectionAbortedError("the node ends")
                process = start_storescp(program, self._config, connection, folder, incoming / "profile.cfg", lock)
                self._running.append(process)
                self._collector.add(folder)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            os.close(lock)
        return process

    def _collect(self) -> None:
        """Takes what was received, and ends the associations once the queue is full."""
        was_full = False
        while not self._stopped.wait(_POLL_SECONDS):
            self._collector.take()
            is_full = self._is_full()
            with self._lock:
                running = list(self._running) if is_full else []
            for process in running:
                process.terminate()
            if is_full and not was_full:
                _log.warning("the queue or its disk is full: %d associations are ended, no more start", len(running))
            elif was_full and not is_full:
                _log.info("the queue and its disk have space again: associations may start")
            was_full = is_full

    def _is_full(self) -> bool:
        try:
            self._queue.check_space()
        except (QueueFullError, OSError):  # OSError: its disk is gone
            return True
        return False
