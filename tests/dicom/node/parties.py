"""The parties of a node's tests: its configuration, series to send, a sender, and a peer that takes results."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np
import pydicom
from bedside.dicom.node.node import run_node
from bedside.runtime.errors import Cancelled
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind
from pynetdicom.sop_class import Verification

from ..written_series import write_series

QUICK = {"quiet_seconds": 0.3, "quiet_after_abort_seconds": 1.0}
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"  # Supplement 243
SCORECARD = Path(__file__).resolve().parents[2] / "scorecard"
SHAPE = (4, 12, 12)  # slices, rows, columns


logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # attempts to reach a node that starts


def node_bundle(toy, folder):
    """A bundle whose grid is that of `series`: labels are 2 in the block and 0 around it."""
    return toy.write_bundle(Path(folder), toy.task(patch=(16, 16, 8), spacing=(0.9, 0.7, 2.5)))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def node_toml(folder, bundle, port, peer_port, *, more="", rule="", **node):
    """Writes the configuration of a node that sends to one peer; returns its path."""
    settings = {**QUICK, "port": port, **node}
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    text = "\n".join(
        [
            "[node]", 'queue = "queue"', *lines, more, "[engine]", 'engine = "onnxruntime"', 'precision = "fp32"',
            "threads = 1", "[[peers]]", 'name = "pacs"', 'ae_title = "PACS"', 'address = "127.0.0.1"',
            f"port = {peer_port}", "[[rules]]", 'name = "all"', f'bundle = "{bundle}"', 'send_to = ["pacs"]', rule,
        ]
    )  # fmt: skip
    path = Path(folder) / "node.toml"
    path.write_text(text.replace("'", '"'))
    return path


def series(folder, number, *, slices=SHAPE[0], patient="Doe^Jane", modality="CT"):
    """Writes a series whose values tell its number: a block of bone at a place of its own. Returns its files."""
    values = np.full((slices, *SHAPE[1:]), -900, np.int16)
    x, y = number % 8, number // 8 % 8
    values[1:3, y : y + 4, x : x + 4] = 1000

    def change(made: Dataset, _: int) -> None:
        made.SeriesInstanceUID, made.StudyInstanceUID = f"1.2.3.77.{number}", f"1.2.3.78.{number}"
        made.FrameOfReferenceUID = f"1.2.3.79.{number}"
        made.PatientID, made.PatientName, made.Modality = f"ID{number}", patient, modality

    return write_series(Path(folder), values=values, change=change)


def expected_block(number):
    """Rows and columns [first, after] of the block of `series`."""
    x, y = number % 8, number // 8 % 8
    return (y, y + 4), (x, x + 4)


@contextmanager
def sending(port, *, title="SENDER", called="BEDSIDE", syntaxes=(ExplicitVRLittleEndian,), **options):
    """An association with the node; not established where it is refused."""
    entity = AE(ae_title=title)
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = 20
    entity.add_requested_context(CTImageStorage, list(syntaxes))
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title=called, **options)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port, files, **options):
    """Sends files in their order; returns the status of each, None where there was no answer."""
    with sending(port, **options) as association:
        if not association.is_established:
            return [None] * len(files)
        return [association.send_c_store(pydicom.dcmread(file)).get("Status") for file in files]


class ResultPeer:
    """Takes segmentations and counts them; also answers C-FIND with counts that a test sets."""

    def __init__(self, port=0, counts=None):
        self.results = {}  # SOP Instance UID → data set
        self.arrivals = Counter()
        self.counts = counts
        self.status = 0x0000
        self._lock = Lock()
        entity = AE(ae_title="PACS")
        for kind in (SegmentationStorage, LABEL_MAP_STORAGE, Comprehensive3DSRStorage, RTStructureSetStorage):
            entity.add_supported_context(kind)
        entity.add_supported_context(StudyRootFind)
        handlers = [(evt.EVT_C_STORE, self._take), (evt.EVT_C_FIND, self._find)]
        self._server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]

    def _take(self, event):
        made = pydicom.dcmread(BytesIO(event.encoded_dataset()))
        with self._lock:
            self.arrivals[str(made.SOPInstanceUID)] += 1
            if self.status == 0:
                self.results[str(made.SOPInstanceUID)] = made
        return self.status

    def _find(self, event):
        answer = Dataset()
        answer.QueryRetrieveLevel, answer.SeriesInstanceUID = "SERIES", event.identifier.SeriesInstanceUID
        count = (self.counts or {}).get(str(event.identifier.SeriesInstanceUID))
        if count is not None:
            answer.NumberOfSeriesRelatedInstances = count
            yield 0xFF00, answer

    def wait_for(self, count, seconds=30.0):
        """Waits until some results arrived."""
        until = time.monotonic() + seconds
        while len(self.results) < count and time.monotonic() < until:
            time.sleep(0.05)
        return list(self.results.values())

    def close(self):
        """Goes away; may be called twice."""
        if self._server is not None:
            self._server.shutdown()
        self._server = None


def start_node(config, log):
    """Starts `bedside node` as a process of its own, which writes its log to a file."""
    words = [sys.executable, "-m", "bedside", "node", "--config", str(config)]
    with Path(log).open("ab") as out:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
        )


def wait_until_listening(port, process, seconds=60.0):
    """Waits until a node answers C-ECHO."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the node ended with {process.returncode}")
        with sending(port) as association:
            if association.is_established and association.send_c_echo().get("Status") == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the node does not listen")


@contextmanager
def running_node(config, port, log):
    """A node that runs while the block does, and is ended by SIGTERM."""
    process = start_node(config, log)
    try:
        wait_until_listening(port, process)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


@contextmanager
def node_here(config):
    """A node within this process while the block runs; yields its port."""
    port, ended, failures = config.node.port, Event(), []

    def run():
        try:
            run_node(config, cancel=ended.is_set)
        except Cancelled:
            pass
        except Exception as error:
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: failures or is_listening(port))
        yield port
    finally:
        ended.set()
        thread.join(60)
    if failures:
        raise failures[0]


def is_listening(port):
    """Whether something accepts connections at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(reached, seconds=30.0):
    """Waits until a condition holds, and says whether it does."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def large_series(folder, number):
    """Writes a series whose instances have 2 MB each, so that half of one is seen on the disk; returns its files."""
    files = series(folder, number)
    for file in files:
        made = pydicom.dcmread(file)
        made.PixelData, made.Rows, made.Columns = bytes(2_000_000), 1000, 1000
        made.save_as(file)
    return files


@contextmanager
def half_an_instance(association, file):
    """Sends the first half of an instance, and runs the block; yields a function that sends the rest.

    Without the rest, the connection is closed after the block.
    """
    connection, reached, goes_on, breaks = association.dul.socket, Event(), Event(), Event()
    whole, left = connection.send, len(pydicom.dcmread(file).PixelData) // 2

    def send_half(content):
        nonlocal left
        left -= len(content)
        if left < 0:
            reached.set()
            goes_on.wait(60)
            if breaks.is_set():
                connection.close()
                return None
        return whole(content)

    connection.send = send_half
    thread = Thread(target=association.send_c_store, args=(pydicom.dcmread(file),))
    thread.start()
    try:
        assert reached.wait(30)
        yield goes_on.set
    finally:
        if not goes_on.is_set():
            breaks.set()
        goes_on.set()
        thread.join(60)


def received_files(queue):
    """Bytes of each file that storescp has written and the node has not taken yet."""
    return [file.stat().st_size for file in (queue / "incoming").glob("*/files/*")]


def storescp_processes(queue):
    """Ids of the storescp processes that write into a queue, also where their node has ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:  # it has ended since
            continue
        if Path(words[0]).name == "storescp" and any(str(queue) in word for word in words):
            found.append(int(process.name))
    return found
