"""TLS of a node, as a server and as a client: version 1.2 or newer, certificates of one authority."""

from __future__ import annotations

import ssl

from ...runtime.errors import InputError
from .sections import Tls


def server_context(tls: Tls) -> ssl.SSLContext:
    """Returns the context in which the node accepts connections.

    Raises:
        InputError: a file cannot be read, or is no certificate or key.
    """
    context = _loaded(ssl.PROTOCOL_TLS_SERVER, tls)
    context.verify_mode = ssl.CERT_REQUIRED if tls.require_certificate else ssl.CERT_NONE
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """Returns the context in which the node calls peers: their certificate must be of the authority and of their name.

    Raises:
        InputError: a file cannot be read, or is no certificate or key.
    """
    return _loaded(ssl.PROTOCOL_TLS_CLIENT, tls)


def _loaded(protocol: int, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")
        context.load_verify_locations(tls.authority)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"tls: the certificate, key or authority cannot be used ({reason}); expected PEM files, the key without "
            "a passphrase"
        ) from None
    return context
