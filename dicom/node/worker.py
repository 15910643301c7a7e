"""Turns one complete series into its result, or into the reason why there is none."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pydicom
from pydicom import Dataset

from ...processes.signals import Terminated
from ...runtime.errors import BedsideError, BundleError, Cancelled, InputError, ResourceError, without_segment_options
from ...runtime.hooks import Cancel
from ...runtime.log import log_failure
from ...runtime.segmenter import Segmenter
from ...runtime.task import Modality
from ..find import open_series
from ..references import placed_frames
from ..result_check import check_results
from ..result_memory import result_bytes
from ..series import DicomSeries
from .config import NodeConfig
from .outcome import Delivery, Outcome, State
from .peer import PeerCaller, seconds_to_wait
from .queue import Queue
from .results import Identities, write_results
from .rules import Rule, SeriesFacts, first_fitting
from .series_folder import SeriesFolder

_log = logging.getLogger("bedside.node")

_SECONDS_TO_RECORD = 6.0  # until an outcome that the disk did not take is worked out again


class Worker:
    """Segments the series of a queue, one after the other.

    Args:
        config: the rules.
        queue: the series.
        segmenters: bundle → opened segmenter.
        caller: asks a peer for counts.
        cancel: returns true to stop.
    """

    def __init__(
        self,
        config: NodeConfig,
        queue: Queue,
        segmenters: Mapping[str, Segmenter],
        caller: PeerCaller,
        cancel: Cancel | None = None,
    ) -> None:
        self._config = config
        self._queue = queue
        self._segmenters = segmenters
        self._caller = caller
        self._cancel = cancel

    def discard_outdated(self) -> None:
        """Discards undelivered results whose rule or bundle has changed since; their series are segmented again.

        Raises:
            ResourceError: the disk does not allow it.
        """
        self._queue.discard_undelivered_unless(
            {_made_by(rule, self._segmenters[rule.bundle]) for rule in self._config.rules}
        )

    def work(self) -> bool:
        """Takes up the series that waits longest; returns whether there was one."""
        due = self._queue.due(time.monotonic())
        if due:
            self._take_up(due[0])
        return bool(due)

    def _take_up(self, series: SeriesFolder) -> None:
        with self._queue.lock:  # instances that arrive later belong to the next result
            files, before = series.files(), series.outcome
            outcome = Outcome(
                digest=series.digest,
                instances=len(files),
                state=State.STARTED,
                attempts=1 if before is None else before.attempts + 1,
            )
        limit = self._config.node.attempts
        try:
            if outcome.attempts > limit:  # it ended the process each time, or the node was killed so often
                raise InputError(f"given up after {limit} attempts, the last of which ended the node")
            if not self._is_whole(series, files[0], outcome):
                return
            self._queue.record(series, outcome)
            done = self._result(series, files, outcome)
        except (Cancelled, KeyboardInterrupt, Terminated):  # a stop of the node is no attempt; a kill stays one
            with suppress(ResourceError):
                self._queue.record(series, msgspec.structs.replace(outcome, attempts=outcome.attempts - 1))
            raise
        except (InputError, BundleError) as error:
            done = _refused(outcome, str(error))
        except Exception as error:  # memory, disk, or a fault of ours: it is tried again
            log_failure("a series failed", error)
            reason = str(error) if isinstance(error, BedsideError) else type(error).__name__
            if outcome.attempts < limit:
                seconds = seconds_to_wait(outcome.attempts)
                series.retry_at = time.monotonic() + seconds
                _log.warning("series %s: %s; tried again in %.0f s", series.key[:8], reason, seconds)
                done = outcome  # recorded, so that an attempt that failed before its start was recorded counts too
            else:
                done = _refused(outcome, f"given up after {outcome.attempts} attempts: {reason}")
        self._finish(series, done)

    def _finish(self, series: SeriesFolder, done: Outcome) -> None:
        done = msgspec.structs.replace(done, seconds=time.time())
        try:
            self._queue.record(series, done)
        except ResourceError as error:  # the result is made again, with the same UIDs
            series.retry_at = time.monotonic() + _SECONDS_TO_RECORD
            _log.warning("series %s: %s; tried again", series.key[:8], error)
            return
        if done.state is State.REFUSED:
            _log.warning("series %s of %d instances is refused: %s", series.key[:8], done.instances, done.message)

    def _is_whole(self, series: SeriesFolder, file: Path, outcome: Outcome) -> bool:
        """Whether a peer that counts the series' instances counts no more than arrived; else the series waits."""
        name, waited = self._config.node.count_from, time.monotonic() - series.changed
        if name is None:
            return True
        header = _header(file)
        try:
            count = self._caller.count(
                self._config.peer(name), str(header.get("StudyInstanceUID") or ""), str(header.SeriesInstanceUID)
            )
        except ResourceError as error:
            _log.warning("series %s: %s; its quiet time alone decides", series.key[:8], error)
            return True
        if count is None or count <= outcome.instances:
            return True
        missing = f'{outcome.instances} instances arrived, "{name}" counts {count}'
        if waited >= self._config.node.longest_wait_seconds:
            raise InputError(f"{missing}; send the whole series again")
        series.retry_at = time.monotonic() + max(1.0, self._config.node.quiet_seconds)
        _log.info("series %s waits: %s", series.key[:8], missing)
        return False

    def _result(self, series: SeriesFolder, files: list[Path], outcome: Outcome) -> Outcome:
        scan = open_series(files)
        facts = SeriesFacts.of(scan, _header(placed_frames(scan)[0][1].path))
        modalities = {bundle: opened.task.modality.value for bundle, opened in self._segmenters.items()}
        rule = first_fitting(self._config.rules, modalities, facts)
        if rule is None:
            known = facts.modality in [each.value for each in Modality]
            modality = facts.modality if known else "another modality"  # a header's text may hold anything
            raise InputError(
                f"no rule fits ({modality}, {facts.orientation}, slices {facts.slice_distance_mm:.3g} mm apart, "
                f"pixels of {facts.pixel_mm[0]:.3g} mm)"
            )
        return self._segmented(series, scan, rule, outcome)

    def _segmented(self, series: SeriesFolder, scan: DicomSeries, rule: Rule, outcome: Outcome) -> Outcome:
        segmenter = self._segmenters[rule.bundle]
        identities = Identities(self._queue.uid, series.key, rule, segmenter.bundle.sha256, outcome)
        needed = result_bytes(scan, segmentation=True, report=rule.report, contours=rule.contours)
        with segmenter.reserve(scan, cancel=self._cancel, afterwards=needed) as reserved:
            names = segmenter.task.labels
            check_results(scan, names, segmentation=True, report=rule.report, contours=rule.contours)
            result = reserved.run()
            files = write_results(series, scan, result, segmenter, identities)
        seconds = sum(result.timings.values()) / 1000
        _log.info("series %s: %d instances, rule %s, %.1f s", series.key[:8], outcome.instances, rule.name, seconds)
        message = "; ".join(result.warnings)
        if message:
            _log.warning("series %s: a person should look at the result: %s", series.key[:8], message)
        return msgspec.structs.replace(
            outcome,
            state=State.DONE,
            rule=rule.name,
            made_by=_made_by(rule, segmenter),
            message=message,
            pending=tuple(Delivery(peer=peer, file=file) for peer in dict.fromkeys(rule.send_to) for file in files),
        )


def _made_by(rule: Rule, segmenter: Segmenter) -> str:
    """Returns a hash of a rule and of its bundle's content, wherever that lies."""
    content = msgspec.json.encode(msgspec.structs.replace(rule, bundle=segmenter.bundle.sha256))
    return hashlib.sha256(content).hexdigest()[:32]


def _refused(outcome: Outcome, message: str) -> Outcome:
    return msgspec.structs.replace(outcome, state=State.REFUSED, message=without_segment_options(message))


def _header(file: Path) -> Dataset:
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "BodyPartExamined"]
    return pydicom.dcmread(file, specific_tags=tags, stop_before_pixels=True)
