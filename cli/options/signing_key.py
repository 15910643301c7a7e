"""Reads the key that signs a bundle, and asks for its passphrase."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import UsageError

if TYPE_CHECKING:
    from ...runtime.bundles.signing import SigningKey

PASSPHRASE_VARIABLE = "BEDSIDE_PASSPHRASE"


def read_signing_key(path: Path) -> SigningKey:
    """Reads a private key; its passphrase comes from the environment, or else from whoever sits at the terminal.

    Args:
        path: the key's file, see `SigningKey.read`, which has the errors too.

    Raises:
        UsageError: the key has a passphrase, and there is neither the variable nor a terminal.
    """
    from ...runtime.bundles.signing import SigningKey

    return SigningKey.read(path, _passphrase)


def _passphrase() -> str:
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"the key has a passphrase; set {PASSPHRASE_VARIABLE}, or call from a terminal")
    try:
        return getpass("Passphrase of the key: ")
    except EOFError:
        raise UsageError("the key has a passphrase; none was given") from None
