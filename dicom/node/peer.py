"""Calls other nodes: sends results by C-STORE and asks by C-FIND how many instances a series has."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,  # pyright: ignore[reportAttributeAccessIssue]
)

from ...runtime.errors import ResourceError
from ...runtime.log import log_failure
from .config import NodeConfig
from .sections import Peer
from .tls import client_context

if TYPE_CHECKING:
    from pynetdicom import Association

_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_config.STORE_SEND_CHUNKED_DATASET = (
    True  # a file is sent as it is: decoded and encoded again, it takes three times its size
)
_FINISHED = 0x0000
_PENDING = (0xFF00, 0xFF01)
_LONGEST_WAIT = 300.0
_MOST_MATCHES = 1000  # of one series, one is expected; of all series of a study, some hundred


class NotTakenError(ResourceError):
    """A peer was reached and did not take what was sent."""


class NotReachedError(ResourceError):
    """A peer accepts no association now."""


class PeerCaller:
    """Calls the peers of a configuration.

    Args:
        config: the node's own AE title, its TLS and its limits.

    Raises:
        InputError: a file of TLS cannot be used.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._tls = None if config.tls is None else client_context(config.tls)  # no call reads the files again

    def store(self, peer: Peer, file: Path) -> None:
        """Sends a file by C-STORE; returns once the peer has acknowledged it.

        Raises:
            NotTakenError: the peer answered another status than success or a warning, or the file's content does not
                fit what the peer accepts.
            NotReachedError: the peer accepts no association.
            ResourceError: the association broke.
            OSError: the file cannot be read.
            Exception: what pydicom raises for a damaged file.
        """
        header = pydicom.dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True)
        syntaxes, own = _SYNTAXES, header.file_meta.TransferSyntaxUID
        if own == ImplicitVRLittleEndian:
            syntaxes = [ImplicitVRLittleEndian]  # a long contour has no place in an explicit one
        with self._associated(peer, str(header.SOPClassUID), syntaxes) as association:
            takes_own = any(own in context.transfer_syntax for context in association.accepted_contexts)
            try:
                answer = association.send_c_store(file if takes_own else pydicom.dcmread(file))
            except ValueError as error:
                log_failure("C-STORE failed", error)
                raise NotTakenError(f'the result cannot be encoded for the peer "{peer.name}"') from None
        status = int(answer.Status) if "Status" in answer else None
        if status is None:
            raise ResourceError(f'the peer "{peer.name}" did not answer')
        if status != _FINISHED and status >> 12 != 0xB:
            raise NotTakenError(f'the peer "{peer.name}" answered 0x{status:04X}')

    def count(self, peer: Peer, study: str, series: str) -> int | None:
        """Asks by C-FIND how many instances a series has; None where the peer does not know.

        Raises:
            ResourceError: the peer is not reached, the connection broke, or its answer cannot be understood or does not
                end.
        """
        query = Dataset()
        query.QueryRetrieveLevel = "SERIES"
        query.StudyInstanceUID, query.SeriesInstanceUID = study, series
        query.NumberOfSeriesRelatedInstances = None
        with self._associated(peer, StudyRootFind) as association:
            counts = [_counted(match, series) for match in self._matches(association, query)]
        return max(counts, default=0) or None

    def _matches(self, association: Association, query: Dataset) -> Iterator[Dataset]:
        """Yields what a peer finds; a peer that ignores the keys of the query may find all that it has."""
        seconds = self._config.limits.timeout_seconds
        until = time.monotonic() + seconds
        for number, (status, found) in enumerate(association.send_c_find(query, StudyRootFind), start=1):
            if "Status" not in status:
                raise ResourceError("the peer did not answer C-FIND")
            if status.Status not in _PENDING:
                return
            if number > _MOST_MATCHES or time.monotonic() > until:
                association.abort()  # a release would wait for the rest
                raise ResourceError(f"the peer's matches are over {_MOST_MATCHES}, or take over {seconds:g} s")
            if found is not None:
                yield found

    @contextmanager
    def _associated(self, peer: Peer, context: Any, syntaxes: Sequence[UID] = _SYNTAXES) -> Generator[Association]:
        """Holds an association for one kind of service while the block runs.

        Raises:
            NotTakenError: the peer does not accept this kind of object.
            NotReachedError: the peer accepts no association.
            ResourceError: pynetdicom or pydicom fails within the block, as where the peer aborts.
        """
        try:
            association = self._associate(peer, context, syntaxes)
            try:
                yield association
            finally:
                if association.is_established:
                    association.release()
        except (OSError, RuntimeError, ValueError) as error:
            log_failure("an association failed", error)
            raise ResourceError(
                f'the association with the peer "{peer.name}" failed ({type(error).__name__})'
            ) from None

    def _associate(self, peer: Peer, context: Any, syntaxes: Sequence[UID]) -> Association:
        entity = AE(ae_title=self._config.node.ae_title)
        timeout = self._config.limits.timeout_seconds
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = timeout
        for syntax in syntaxes:  # each for itself, so that a peer that takes several leaves the choice to the sender
            entity.add_requested_context(context, syntax)
        arguments: dict[str, Any] = {"ae_title": peer.ae_title}
        if peer.tls:
            arguments["tls_args"] = (self._tls, peer.address)
        limited: list[Any] = [(evt.EVT_CONN_OPEN, _limit_socket, [timeout])]
        association = entity.associate(peer.address, peer.port, evt_handlers=limited, **arguments)
        if association.rejected_contexts and not association.accepted_contexts:
            if association.is_established:
                association.release()
            raise NotTakenError(f'the peer "{peer.name}" does not accept this kind of object')
        if not association.is_established:
            reason = "rejects this node" if association.is_rejected else "is not reached"
            raise NotReachedError(f'the peer "{peer.name}" {reason}')
        return association


def _limit_socket(event: evt.Event, seconds: float) -> None:
    """Limits each call of a connection's socket.

    pynetdicom waits without end for the rest of a PDU that the peer began, and for a peer that reads nothing.
    """
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.settimeout(seconds)


def _counted(match: Dataset, series: str) -> int:
    """Returns how many instances a match counts; 0 where it is another series."""
    if str(match.get("SeriesInstanceUID") or "").strip() != series.strip():
        return 0
    try:
        return int(match.get("NumberOfSeriesRelatedInstances") or 0)
    except (ArithmeticError, TypeError, ValueError) as error:
        log_failure("a count was not understood", error)
        raise ResourceError("the peer's answer to C-FIND has a count that is no number") from None


def seconds_to_wait(attempts: int) -> float:
    """Returns the seconds to wait after some failed attempts: 1, 2, 4, … up to 300."""
    return min(_LONGEST_WAIT, 2.0 ** min(max(attempts - 1, 0), 20))
