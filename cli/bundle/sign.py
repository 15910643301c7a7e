"""`bedside bundle sign`: adds a signature to a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..options.paths import bundle_argument, input_option
from ..options.signing_key import read_signing_key
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Sign:
    """Sign a bundle with an Ed25519 key, so that `bedside segment --trust` knows who made it.

    The bundle is verified first; an earlier signature is replaced. A passphrase is asked for, or read from the
    environment variable BEDSIDE_PASSPHRASE. OpenSSL or ssh-keygen makes the key: docs/bundle.md.

    Example: bedside bundle sign student.bedside --key release.pem
    """

    bundle: Annotated[Path, bundle_argument(help="Bundle directory.", show_default=False)]
    key: Annotated[Path, input_option("--key", "-k", help="Private key (Ed25519; PEM or OpenSSH).", show_default=False)]
    console: Console

    def __call__(self) -> None:
        """Signs the bundle and shows the key's fingerprint."""
        from ...runtime.bundles.signing import sign_bundle

        key = read_signing_key(self.key)
        sign_bundle(self.bundle, key)
        self.console.finished(f'the bundle "{self.bundle.name}" is signed')
        self.console.show(f"signed by {key.fingerprint}")
        self.console.emit({"bundle": str(self.bundle), "signer": key.fingerprint})
