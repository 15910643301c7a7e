"""`bedside bundle zip`: makes one file of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..options.outputs import check_new
from ..options.paths import bundle_argument, output_option
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Zip:
    """Zip a bundle reproducibly: the same bundle gives the same bytes.

    The bundle is verified first. Every command takes the zip in place of the directory.

    Example: bedside bundle zip student.bedside -o student.bedside.zip
    """

    bundle: Annotated[Path, bundle_argument(help="Bundle directory, or a zip of one.", show_default=False)]
    output: Annotated[Path, output_option("--output", "-o", help="Zip to write.", show_default=False)]
    stored: Annotated[
        bool,
        typer.Option("--stored", help="Do not compress: then the bytes do not depend on this machine's zlib."),
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Writes the zip and shows its SHA-256."""
        check_new(self.output, ".zip", force=self.force)
        from ...runtime.bundles.zip_writer import zip_bundle
        from ...runtime.files.hashing import file_sha256

        sha256 = file_sha256(zip_bundle(self.bundle, self.output, stored=self.stored))
        self.console.finished(f'the zip "{self.output.name}" is written')
        self.console.show(f"{sha256}  {self.output.name}")
        self.console.emit({"zip": str(self.output), "sha256": sha256, "bytes": self.output.stat().st_size})
