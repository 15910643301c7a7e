"""The node: receives, segments one series at a time, and sends the results back."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from pathlib import Path

from ...runtime.errors import ResourceError, UsageError
from ...runtime.hooks import Cancel
from ...runtime.log import log_failure
from ...runtime.segmenter import Segmenter
from ..quiet import quiet_libraries
from .config import NodeConfig
from .peer import PeerCaller
from .queue import Queue
from .receiver import Receiver
from .sender import Sender
from .tls import server_context
from .worker import Worker

_log = logging.getLogger("bedside.node")

_POLL_SECONDS = 0.1
_TIDY_SECONDS = 30.0


def run_node(config: NodeConfig, cancel: Cancel | None = None) -> None:
    """Runs a node until ``cancel()`` returns true, or an exception such as that of a signal ends it.

    Whatever ends it, and kill -9 too, the queue holds what was acknowledged, and the next run goes on from there.

    Args:
        config: what `load_node_config` read.
        cancel: called several times a second; None runs for ever.

    Raises:
        BundleError: a bundle is damaged.
        UsageError: the program that receives does not run on this system, or the engine is not installed.
        InputError: a file of TLS cannot be used.
        ResourceError: the port is taken, the queue is held by another node, the program that receives is not
            installed, it received what no node has taken and another receives now, or there is no memory for a bundle.
        Cancelled: ``cancel()`` returned true while a series was segmented.
    """
    node, limits = config.node, config.limits
    check_receiver(config)
    with quiet_libraries(), ExitStack() as opened:
        import_module("highdicom")  # takes seconds, for which the first series would wait
        segmenters = open_segmenters(config, opened)
        queue = opened.enter_context(
            Queue.open(
                Path(node.queue),
                quiet_seconds=node.quiet_seconds,
                max_gib=limits.max_queue_gib,
                min_free_gib=limits.min_free_gib,
                # After so much silence an association has broken, unless it sends other series.
                open_seconds=limits.timeout_seconds + node.quiet_after_abort_seconds,
            )
        )
        caller = PeerCaller(config)
        sender = Sender(config.peers, queue, caller)
        worker = Worker(config, queue, segmenters, caller, cancel)
        worker.discard_outdated()
        opened.callback(sender.stop)  # may take seconds, while nothing should be received any more
        port = opened.enter_context(_listening(config, queue))
        sender.start()
        _log.info("%s listens on %s, port %d", node.ae_title, node.address, port)
        tidied = 0.0
        while cancel is None or not cancel():
            if time.monotonic() - tidied > min(_TIDY_SECONDS, node.keep_hours * 3600 + 1):
                tidied = time.monotonic()
                _remove_finished(queue, node.keep_hours * 3600)
            if not worker.work():
                time.sleep(_POLL_SECONDS)


def open_segmenters(config: NodeConfig, opened: ExitStack) -> dict[str, Segmenter]:
    """Opens every bundle of the rules once, and returns them by their path; ``opened`` closes them.

    Raises:
        BundleError: a bundle is damaged.
        UsageError: the engine is not installed.
        ResourceError: there is no memory for a model.
    """
    engine = config.engine
    limit = None if engine.memory_limit_mib is None else engine.memory_limit_mib * 2**20
    return {
        bundle: opened.enter_context(
            Segmenter.load(bundle, engine.engine, engine.precision, engine.threads, limit, device=engine.device)
        )
        for bundle in dict.fromkeys(rule.bundle for rule in config.rules)
    }


def check_receiver(config: NodeConfig) -> None:
    """Checks what the receiver of the configuration needs.

    Raises:
        UsageError: storescp is asked for on another system than Linux.
        ResourceError: it is not installed.
        InputError: a file of TLS cannot be used.
    """
    if config.tls is not None:
        server_context(config.tls)
    if config.node.storescp == "dcmtk":
        if sys.platform != "linux":  # limits of another process, and what it has open, are asked of Linux
            raise UsageError('node.storescp = "dcmtk" runs on Linux alone; use "pynetdicom"')
        from .storescp_program import find_storescp

        find_storescp()


def _listening(config: NodeConfig, queue: Queue) -> AbstractContextManager[int]:
    """Returns the receiver of the configuration, not yet listening."""
    if config.node.storescp == "pynetdicom":
        if queue.incoming.is_dir() and any(folder.is_dir() for folder in queue.incoming.iterdir()):
            raise ResourceError(
                "the queue holds instances that DCMTK's storescp received and no node has taken; start with "
                'node.storescp = "dcmtk" once'
            )
        return Receiver(config, queue).listening()
    from .dcmtk_receiver import DcmtkReceiver

    return DcmtkReceiver(config, queue).listening()


def _remove_finished(queue: Queue, keep_seconds: float) -> None:
    try:
        removed = queue.remove_finished(keep_seconds)
    except (ResourceError, OSError) as error:
        _log.warning("finished series cannot be removed (%s)", type(error).__name__)
        log_failure("removal failed", error)
    else:
        if removed:
            _log.info("%d finished series are removed from the queue", removed)
