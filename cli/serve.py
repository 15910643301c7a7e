"""`bedside serve`: bundles behind HTTP on this machine, with a page to look at."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import InputError
from .options.engine import device_option, engine_option, precision_option
from .options.extras import require
from .options.machine import ThreadsOption
from .options.paths import bundle_argument, input_option, output_option
from .options.trust import TrustOption
from .terminal.console import Console

TOKEN_VARIABLE = "BEDSIDE_TOKEN"
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve bundles over HTTP: programs send scans and fetch label maps, people look at them on a page.

    It listens on this machine alone; any other address demands a token. A scan is accepted when its memory is free, and
    answered with 503 and Retry-After otherwise. The scans' files are in one private folder that is removed at the end.

    Example: bedside serve demo/student.bedside --port 8650
    """

    bundles: Annotated[
        list[Path], bundle_argument(help="Bundle directories or zips; the first is the default.", show_default=False)
    ]
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8650
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    token_file: Annotated[
        Path | None,
        input_option(help="File with the token that clients must send.", show_default=f"{TOKEN_VARIABLE}, or none"),
    ] = None
    name: Annotated[
        list[str] | None, typer.Option(help="Name of this machine in the clients' URLs; may be repeated.")
    ] = None
    certificate: Annotated[
        Path | None,
        input_option(help="PEM file with the server's certificate, for HTTPS.", show_default="plain HTTP"),
    ] = None
    key: Annotated[
        Path | None,
        input_option(help="PEM file with its private key.", show_default="in the certificate's file"),
    ] = None
    engine: Annotated[str, engine_option(help="auto (the fastest here), or the name of an engine.")] = "auto"
    precision: Annotated[
        str, precision_option(help="auto, or fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16.")
    ] = "auto"
    device: Annotated[str, device_option(help="auto (the fastest here), CPU, GPU, ….")] = "auto"
    trust: TrustOption = None
    threads: ThreadsOption = None
    memory_limit: Annotated[
        int | None, typer.Option(min=1, help="MiB this process may take; a scan that needs more is refused.")
    ] = None
    max_upload: Annotated[int, typer.Option(min=1, help="MiB of one upload.")] = 2048
    queue: Annotated[int, typer.Option(min=1, max=1000, help="Scans that may wait or run.")] = 8
    keep: Annotated[float, typer.Option(min=0.1, help="Minutes that results are kept.")] = 60.0
    folder: Annotated[
        Path | None,
        output_option(help="Where the private folder for scans is made.", show_default="the temporary folder"),
    ] = None
    console: Console

    def __call__(self) -> None:
        """Serves until a signal comes."""
        require("serve")
        from ..runtime.engine_selection.engine_request import EngineRequest
        from ..service.served_bundle import ServedBundle, bundle_names
        from ..service.server import serve
        from ..service.settings import Settings

        settings = Settings(
            host=self.host,
            port=self.port,
            token=self._token(),
            names=tuple(self.name or ()),
            upload_bytes=self.max_upload * _MIB,
            waiting=self.queue,
            keep_seconds=60 * self.keep,
            certificate=self.certificate,
            key=self.key,
            folder=self.folder,
        )
        asked = EngineRequest(
            engine=self.engine,
            precision=self.precision,
            device=self.device,
            threads=self.threads,
            memory_limit=None if self.memory_limit is None else self.memory_limit * _MIB,
        )
        trust = None if self.trust is None else tuple(self.trust)
        names = bundle_names(self.bundles)
        with ExitStack() as opened:
            served = [
                opened.enter_context(ServedBundle.opened(name, path, asked, trust))
                for name, path in zip(names, self.bundles, strict=True)
            ]
            serve(served, settings, self._started)

    def _started(self, url: str) -> None:
        self.console.info(f"serving at {url} (ctrl-C ends it)")
        self.console.emit({"url": url})

    def _token(self) -> str | None:
        if self.token_file is None:
            return os.environ.get(TOKEN_VARIABLE, "").strip() or None
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f'"{self.token_file.name}": the token cannot be read ({error})') from None
