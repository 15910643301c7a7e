"""TLS of a node, as a server and as a client: version 1.2 or newer, certificates of one authority."""

from __future__ import annotations

import ssl
from pathlib import Path

from ...runtime.errors import InputError
from .sections import Tls

_FAILED = (OSError, ValueError)  # ssl.SSLError is an OSError


def server_context(tls: Tls) -> ssl.SSLContext:
    """Returns the context in which the node accepts connections.

    Raises:
        InputError: a file cannot be read, or is no certificate or key; its field is named.
    """
    context = _loaded(ssl.PROTOCOL_TLS_SERVER, tls)
    context.verify_mode = ssl.CERT_REQUIRED if tls.require_certificate else ssl.CERT_NONE
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """Returns the context in which the node calls peers: their certificate must be of the authority and of their name.

    Raises:
        InputError: a file cannot be read, or is no certificate or key; its field is named.
    """
    return _loaded(ssl.PROTOCOL_TLS_CLIENT, tls)


def _loaded(protocol: int, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except _FAILED as error:
        _load_certificates(ssl.SSLContext(protocol), "certificate", tls.certificate)  # refuses it where it is at fault
        raise _refusal("key", tls.key, "the certificate's key as a PEM file without a passphrase", error) from None
    _load_certificates(context, "authority", tls.authority)
    return context


def _load_certificates(context: ssl.SSLContext, field: str, file: str) -> None:
    try:
        context.load_verify_locations(file)
    except _FAILED as error:
        raise _refusal(field, file, "a PEM file of certificates", error) from None


def _refusal(field: str, file: str, expected: str, error: OSError | ValueError) -> InputError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return InputError(f'tls.{field}: "{Path(file).name}" cannot be used ({reason}); expected {expected}')
