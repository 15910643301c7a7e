"""Sends results back, again and again until the peer has acknowledged them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from threading import Event, Thread

from ...runtime.errors import BedsideError, ResourceError
from ...runtime.log import log_failure
from .outcome import Delivery
from .peer import NotReachedError, NotTakenError, PeerCaller, seconds_to_wait
from .queue import Queue
from .sections import Peer
from .series_folder import SeriesFolder

_log = logging.getLogger("bedside.node")

_POLL_SECONDS = 0.2
_BROKEN_SECONDS = 1.0  # that a peer is left alone after an association broke
_END_SECONDS = 15.0  # a service manager or container that kills earlier costs nothing: the result is sent again


class Sender:
    """Delivers the queue's results, each peer's in a thread of its own: one that is away or silent holds up no other.

    Args:
        peers: the peers.
        queue: the results.
        caller: calls the peers.
    """

    def __init__(self, peers: Sequence[Peer], queue: Queue, caller: PeerCaller) -> None:
        self._queue = queue
        self._caller = caller
        self._failures: Counter[Delivery | str] = Counter()
        self._not_before: dict[Delivery | str, float] = {}
        self._stop = Event()
        self._threads = [Thread(target=self._run, args=(peer,), name="bedside-send", daemon=True) for peer in peers]

    def start(self) -> None:
        """Starts to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends after the results that are being sent; one that a peer does not take in time is sent by the next run."""
        self._stop.set()
        until = time.monotonic() + _END_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def _run(self, peer: Peer) -> None:
        while not self._stop.is_set():
            try:
                self.deliver(peer)
            except Exception as error:  # a full disk, or a fault of ours: the thread must go on
                _log.warning("results cannot be sent now (%s); tried again", type(error).__name__)
                log_failure("sending failed", error)
                self._stop.wait(1)
            self._stop.wait(_POLL_SECONDS)

    def deliver(self, peer: Peer) -> None:
        """Sends a peer what is pending and whose time has come, once each; the result that failed least comes first.

        So a result that breaks each association waits longer and longer itself, and the others for a second at a time.
        """
        pending = [each for each in self._queue.pending() if each[1].peer == peer.name]
        for series, delivery in sorted(pending, key=lambda each: self._failures[each[1]]):
            now = time.monotonic()
            waits = (self._not_before.get(delivery, 0), self._not_before.get(peer.name, 0))
            if self._stop.is_set() or now < max(waits):
                continue
            try:
                self._send(peer, series, delivery)
            except Exception as error:  # the disk, a damaged result, or a fault of ours: the others are still sent
                log_failure("sending failed", error)
                reason = str(error) if isinstance(error, BedsideError) else type(error).__name__
                self._wait(delivery, f"series {series.key[:8]}: a result cannot be sent ({reason})")

    def _send(self, peer: Peer, series: SeriesFolder, delivery: Delivery) -> None:
        """Sends one result; the result waits where its peer does not take it, and the peer where it is away.

        Where the association breaks, either may be the cause: the result waits, and the peer for a second.
        """
        place = f"series {series.key[:8]}"
        try:
            self._caller.store(peer, series.result_folder / delivery.file)
        except NotTakenError as error:
            self._wait(delivery, f"{place}: {error}")
        except NotReachedError as error:
            self._wait(peer.name, f"{place}: {error}")
        except ResourceError as error:
            self._not_before[peer.name] = time.monotonic() + _BROKEN_SECONDS
            self._wait(delivery, f"{place}: {error}")
        else:
            self._failures.pop(peer.name, None)
            self._queue.delivered(series, delivery)
            self._failures.pop(delivery, None)
            _log.info('%s: the result is at "%s"', place, peer.name)

    def _wait(self, what: Delivery | str, why: str) -> None:
        self._failures[what] += 1
        seconds = seconds_to_wait(self._failures[what])
        self._not_before[what] = time.monotonic() + seconds
        _log.warning("%s; tried again in %.0f s", why, seconds)
