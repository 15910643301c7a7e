"""Where the service listens, whom it answers, and how much it takes."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError, UsageError

SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one service.

    Attributes:
        host: address to listen on; any but the loopback demands a token.
        port: TCP port; 0 takes a free one.
        token: what clients send as ``Authorization: Bearer …``; None asks for none.
        names: further names of this machine that clients may use in the Host header.
        upload_bytes: bytes of one upload.
        unpacked_bytes: bytes of all files in an uploaded zip together.
        files: files in an uploaded zip.
        uploads: uploads that are received at the same time.
        waiting: accepted jobs that are not finished.
        kept: jobs whose files are kept, finished or not.
        keep_seconds: how long a finished job's files are kept.
        grace_seconds: how long a client may be slower than `slowest`, or send nothing.
        slowest: bytes per second that an upload needs at least, on average after the grace.
        header_seconds: within which a request's header must have come.
        answer_seconds: within which a client must take the next part of an answer; after twice the time its connection
            is cut.
        unread_seconds: how long the rest of a refused upload is read and dropped, so that its sender sees the refusal.
        connections: open connections; more are answered with 503.
        certificate: PEM file with the server's certificate and those that lead to its root; None serves plain HTTP.
        key: PEM file with its private key, without a passphrase; None where the certificate's file has it too.
        folder: folder in which the service makes its private folder; None for the system's temporary one.

    Raises:
        UsageError: another address than the loopback without a token, a token that is too short, or a key without a
            certificate.
        InputError: certificate and key cannot be read, or do not belong together.
    """

    host: str = "127.0.0.1"
    port: int = 8650
    token: str | None = None
    names: tuple[str, ...] = ()
    upload_bytes: int = 2 * 2**30
    unpacked_bytes: int = 4 * 2**30
    files: int = 5000
    uploads: int = 8
    waiting: int = 8
    kept: int = 64
    keep_seconds: float = 3600.0
    grace_seconds: float = 10.0
    slowest: int = 2**15
    header_seconds: float = 10.0
    answer_seconds: float = 30.0
    unread_seconds: float = 10.0
    connections: int = 200
    certificate: Path | None = None
    key: Path | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise UsageError(
                f"the token needs {SHORTEST_TOKEN} ASCII characters at least; make one: openssl rand -hex 32"
            )
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f"{self.host} can be reached by others, so a token is needed (--token-file); or listen on 127.0.0.1"
            )
        if self.certificate is not None:
            _check_certificate(self.certificate, self.key)
        elif self.key is not None:
            raise UsageError("--key goes with --certificate")


def _check_certificate(certificate: Path, key: Path | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # the ssl module's own errors are OSErrors
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f'"{certificate.name}": expected a certificate and its private key in PEM files, without a passphrase '
            f"({reason})"
        ) from None


def _no_passphrase() -> str:
    raise ValueError("a service has nobody to ask for a passphrase")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
