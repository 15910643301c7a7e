"""The option that says whose bundles a command opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .paths import input_option

TrustOption = Annotated[
    list[Path] | None,
    input_option(
        "--trust",
        help="Public key (Ed25519; PEM or OpenSSH) or folder of keys, may be repeated: a bundle that none of them "
        "signed is refused.",
        show_default="every bundle is opened",
    ),
]
