"""Receives instances by C-STORE and puts them into the queue before it says that it has them. Answers C-ECHO too."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification  # pyright: ignore[reportAttributeAccessIssue]

from ...runtime.errors import ResourceError
from ...runtime.log import log_failure
from ..frames import SCAN_CLASSES
from .accepted import SYNTAXES, instance_name
from .config import NodeConfig
from .limited_server import CountingEntity, LimitedServer, LimitedSocket, not_listening
from .queue import Queue
from .tls import server_context

_log = logging.getLogger("bedside.node")

# Status of C-STORE (PS3.4, table B.2-1).
_SUCCESS, _OUT_OF_RESOURCES, _OTHER_INSTANCE, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000


class Receiver:
    """Takes instances into the queue.

    Args:
        config: whom it accepts, and how much.
        queue: where instances go.
    """

    def __init__(self, config: NodeConfig, queue: Queue) -> None:
        self._config = config
        self._queue = queue

    @contextmanager
    def listening(self) -> Generator[int]:
        """Listens while the block runs; yields the port.

        Raises:
            ResourceError: the address is not there, or the port is taken.
            InputError: a file of TLS cannot be used.
        """
        node, limits = self._config.node, self._config.limits
        entity = CountingEntity(ae_title=node.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self._config.access.ae_titles or ())
        entity.maximum_associations = limits.max_associations
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = limits.timeout_seconds
        entity.add_supported_context(Verification)
        for kind in SCAN_CLASSES:
            entity.add_supported_context(kind, list(SYNTAXES))
        try:
            server = entity.make_server(
                (node.address, node.port),
                ssl_context=None if self._config.tls is None else server_context(self._config.tls),
                evt_handlers=[
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_ABORTED, self._aborted),
                    (evt.EVT_RELEASED, self._released),
                ],
                server_class=cast("Any", LimitedServer),
                access=self._config.access,
                limits=limits,
            )
        except OSError as error:
            raise not_listening(node, error) from None
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="bedside-listen", daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()

    def _store(self, event: evt.Event) -> int:
        """Handles C-STORE: returns success only once the instance is on the disk."""
        try:
            connection = event.assoc.dul.socket
            if isinstance(connection, LimitedSocket):
                connection.received = 0
            content = event.encoded_dataset()
            name = instance_name(content, str(cast(C_STORE, event.request).AffectedSOPInstanceUID))
            if name is None:
                _log.warning("an instance was refused: its identifiers are missing or do not agree")
                return _OTHER_INSTANCE
            self._queue.put(name, content, sender=_sender(event))
            return _SUCCESS
        except (ResourceError, OSError, MemoryError) as error:
            _log.warning("an instance was refused for want of space: %s", _reason(error))
            return _OUT_OF_RESOURCES
        except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
            _log.warning("an instance was refused: it cannot be understood (%s)", type(error).__name__)
            log_failure("C-STORE failed", error)
            return _NOT_UNDERSTOOD

    def _aborted(self, event: evt.Event) -> None:
        """Lets the series of a broken association wait longer: the rest of each may still come, in any order."""
        self._queue.ended(_sender(event), self._config.node.quiet_after_abort_seconds)

    def _released(self, event: evt.Event) -> None:
        self._queue.ended(_sender(event))


def _sender(event: evt.Event) -> str:
    """Returns the name of an association as long as it is open."""
    return str(id(event.assoc))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ResourceError) else type(error).__name__
