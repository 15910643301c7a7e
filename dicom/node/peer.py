"""Calls other nodes: sends results by C-STORE and asks by C-FIND how many instances a series has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,  # pyright: ignore[reportAttributeAccessIssue]
)

from ...runtime.errors import ResourceError
from .config import NodeConfig
from .routes import Peer
from .tls import client_context

if TYPE_CHECKING:
    from pynetdicom import Association

_FINISHED = 0x0000
_PENDING = (0xFF00, 0xFF01)


class NotTakenError(ResourceError):
    """A peer was reached and did not take what was sent."""


class PeerCaller:
    """Calls the peers of a configuration.

    Args:
        config: the node's own AE title, its TLS and its limits.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    def store(self, peer: Peer, file: Path) -> None:
        """Sends a file by C-STORE; returns once the peer has acknowledged it.

        Raises:
            NotTakenError: the peer answered another status than success or a warning.
            ResourceError: the peer is not reached, or the connection broke.
        """
        content = pydicom.dcmread(file)
        association = self._associate(peer, str(content.SOPClassUID))
        try:
            answer = association.send_c_store(content)
        finally:
            _end(association)
        status = int(answer.Status) if "Status" in answer else None
        if status is None:
            raise ResourceError(f'the peer "{peer.name}" did not answer')
        if status != _FINISHED and status >> 12 != 0xB:
            raise NotTakenError(f'the peer "{peer.name}" answered 0x{status:04X}')

    def count(self, peer: Peer, study: str, series: str) -> int | None:
        """Asks by C-FIND how many instances a series has; None where the peer does not know.

        Raises:
            ResourceError: the peer is not reached, or the connection broke.
        """
        query = Dataset()
        query.QueryRetrieveLevel = "SERIES"
        query.StudyInstanceUID, query.SeriesInstanceUID = study, series
        query.NumberOfSeriesRelatedInstances = None
        association = self._associate(peer, StudyRootFind)
        try:
            found = [_match(status, each) for status, each in association.send_c_find(query, StudyRootFind)]
        finally:
            _end(association)
        counts = [int(each.get("NumberOfSeriesRelatedInstances") or 0) for each in found if each is not None]
        return max(counts, default=0) or None

    def _associate(self, peer: Peer, context: Any) -> Association:
        """Opens an association for one kind of service; raises `ResourceError` where that fails."""
        entity = AE(ae_title=self._config.node.ae_title)
        timeout = self._config.limits.timeout_seconds
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = timeout
        entity.add_requested_context(context, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        tls = self._config.tls
        arguments: dict[str, Any] = {"ae_title": peer.ae_title}
        if peer.tls and tls is not None:
            arguments["tls_args"] = (client_context(tls), peer.address)
        association = entity.associate(peer.address, peer.port, **arguments)
        if association.rejected_contexts and not association.accepted_contexts:
            _end(association)
            raise NotTakenError(f'the peer "{peer.name}" does not accept this kind of object')
        if not association.is_established:
            reason = "rejects this node" if association.is_rejected else "is not reached"
            raise ResourceError(f'the peer "{peer.name}" {reason}')
        return association


def _match(status: Dataset, found: Dataset | None) -> Dataset | None:
    """Returns what an answer to C-FIND found; None for the last one, which ends the answers."""
    if "Status" not in status:
        raise ResourceError("the peer did not answer C-FIND")
    return found if status.Status in _PENDING else None


def _end(association: Association) -> None:
    if association.is_established:
        association.release()


def seconds_to_wait(attempts: int, longest: float) -> float:
    """Returns the seconds to wait after some failed attempts: 1, 2, 4, … up to ``longest``."""
    return min(longest, 2.0 ** min(max(attempts - 1, 0), 20))
