"""The sections of `node.toml` but its rules: where a node listens, whom it accepts and calls, how much it takes."""

from __future__ import annotations

import ipaddress
from typing import Literal

from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError
from .field_checks import check_address, check_ae_title, check_between, check_not_empty, check_some

_LOOPBACK = ("127.0.0.0/8", "::1/128")


class Listening(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[node]``: where it listens, its queue, and when a series is complete.

    Attributes:
        queue: folder of the queue, relative to the file.
        ae_title: its own application entity title; associations that call another one are refused.
        address: address that it listens on.
        port: port; 0 takes a free one.
        storescp: program that receives: ``pynetdicom``, or ``dcmtk`` for DCMTK's storescp.
        quiet_seconds: a series is complete when this long none of its instances arrived.
        quiet_after_abort_seconds: the same after an association that was aborted while the series was sent.
        count_from: name of the peer that is asked by C-FIND how many instances a series has; None asks none.
        longest_wait_seconds: how long a series that has fewer instances than the peer counts is waited for.
        keep_hours: how long a finished series stays in the queue, so that instances that follow are recognised.
        attempts: how often a series is tried before it is refused.
    """

    queue: str
    ae_title: str = "BEDSIDE"
    address: str = "127.0.0.1"
    port: int = 11112
    storescp: Literal["pynetdicom", "dcmtk"] = "pynetdicom"
    quiet_seconds: float = 10.0
    quiet_after_abort_seconds: float = 60.0
    count_from: str | None = None
    longest_wait_seconds: float = 600.0
    keep_hours: float = 24.0
    attempts: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_empty("queue", self.queue)
        check_ae_title("ae_title", self.ae_title)
        check_address("address", self.address)
        check_between("port", self.port, 0, 65535)
        for name in ("quiet_seconds", "quiet_after_abort_seconds", "longest_wait_seconds"):
            check_between(name, getattr(self, name), 0, 86_400)
        check_between("keep_hours", self.keep_hours, 0, 8760)
        check_between("attempts", self.attempts, 1, 1000)


class Access(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[access]``: who may send.

    Attributes:
        ae_titles: calling AE titles that are accepted; None accepts all.
        addresses: addresses and networks that are accepted, such as ``10.1.0.0/16``.
    """

    ae_titles: tuple[str, ...] | None = None
    addresses: tuple[str, ...] = _LOOPBACK

    def __post_init__(self) -> None:
        super().__post_init__()
        check_some("ae_titles", self.ae_titles)
        check_some("addresses", self.addresses)
        for title in self.ae_titles or ():
            check_ae_title("ae_titles", title)
        for address in self.addresses:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                raise FieldError(f'addresses: expected addresses or networks, got "{address}"') from None

    def accepts(self, address: str) -> bool:
        """Whether an address may connect."""
        try:
            given = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(given, "ipv4_mapped", None)
        return any((mapped or given) in ipaddress.ip_network(each) for each in self.addresses)


class Peer(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``[[peers]]``: a node that results go to, or that is asked for counts.

    Attributes:
        name: how rules call it.
        ae_title: its AE title.
        address: its host name or address.
        port: its port.
        tls: whether it is called with the certificates of ``[tls]``.
    """

    name: str
    ae_title: str
    address: str
    port: int
    tls: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_empty("name", self.name)
        check_ae_title("ae_title", self.ae_title)
        check_not_empty("address", self.address)
        check_between("port", self.port, 1, 65535)


class Limits(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[limits]``: how much a node takes.

    Attributes:
        max_associations: associations at a time; a connection is none until it has asked for one.
        connections_per_minute: new connections of one address within a minute.
        max_instance_mib: size of one instance.
        max_queue_gib: size of the queue; a node that holds more answers 0xA700 (out of resources).
        min_free_gib: free disk space below which it answers 0xA700.
        timeout_seconds: how long a peer may take for one PDU, and be silent.
    """

    max_associations: int = 10
    connections_per_minute: int = 600
    max_instance_mib: float = 512.0
    max_queue_gib: float = 50.0
    min_free_gib: float = 1.0
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between("max_associations", self.max_associations, 1, 1000)
        check_between("connections_per_minute", self.connections_per_minute, 1, 1_000_000)
        check_between("max_instance_mib", self.max_instance_mib, 0.001, 65_536)
        check_between("max_queue_gib", self.max_queue_gib, 0.001, 1_000_000)
        check_between("min_free_gib", self.min_free_gib, 0, 1_000_000)
        check_between("timeout_seconds", self.timeout_seconds, 0.1, 3600)


class Tls(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[tls]``: with it the node accepts TLS only, and peers with ``tls = true`` are called with it.

    Attributes:
        certificate: the node's certificate chain, PEM.
        key: its private key, PEM.
        authority: certificates that peers' certificates are verified with, PEM.
        require_certificate: whether a sender must show a certificate of ``authority``.
    """

    certificate: str
    key: str
    authority: str
    require_certificate: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("certificate", "key", "authority"):
            check_not_empty(name, getattr(self, name))


class Engine(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[engine]``: as the options of `bedside segment`.

    Attributes:
        engine: name of an engine, or auto.
        precision: name of a precision, or auto.
        device: name of a device, or auto.
        threads: CPU threads; None for all.
        memory_limit_mib: MiB that the process may hold; None for what is free.
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    memory_limit_mib: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("threads", "memory_limit_mib"):
            if getattr(self, name) is not None:
                check_between(name, getattr(self, name), 1, 1 << 30)
