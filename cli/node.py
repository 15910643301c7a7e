"""`bedside node`: receives DICOM series, segments them, and sends the segmentations back."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from .options.extras import require
from .options.paths import input_option
from .terminal.console import Console
from .terminal.log import log_on


@dataclass(frozen=True, kw_only=True)
class Node:
    """Receive DICOM series by C-STORE, segment them with a bundle by rule, and send the segmentations back.

    A series is complete after a quiet time and, where a peer answers C-FIND, when the counts agree. What was
    acknowledged survives kill -9, and no result is made twice. Ends on SIGTERM or ctrl-C.

    Example: bedside node --config node.toml
    """

    config: Annotated[
        Path, input_option("--config", help="Configuration, TOML; docs/node.md shows one.", show_default=False)
    ]
    check: Annotated[
        bool, typer.Option("--check", help="Only check the configuration and its bundles, and show the queue.")
    ] = False
    console: Console

    def __call__(self) -> None:
        """Runs the node."""
        from ..dicom.node.config import load_node_config

        config = load_node_config(self.config)
        require("dicom")
        from ..dicom.node.node import check_receiver, open_segmenters, run_node
        from ..dicom.node.queue_state import QueueState

        if not self.check:
            with log_on(self.console):
                run_node(config)
            return
        check_receiver(config)
        state = QueueState.of(Path(config.node.queue))
        with ExitStack() as opened:
            segmenters = open_segmenters(config, opened)
            tasks = {rule.name: segmenters[rule.bundle].task.name for rule in config.rules}
        rules = "1 rule" if len(tasks) == 1 else f"{len(tasks)} rules"
        self.console.show(f'the configuration "{self.config.name}" is sound: {rules}, all bundles open')
        for line in state.lines:
            self.console.show(line)
        self.console.emit({"rules": tasks, "peers": [peer.name for peer in config.peers], "queue": asdict(state)})
