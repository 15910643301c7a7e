"""Series that reach a node in disorder, over broken associations, while node and peer are killed: none lost,
none done twice, none mixed up."""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections import defaultdict
from functools import cache

import numpy as np
import pydicom
import pytest
from bedside.dicom.node.accepted import InstanceName
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.queue import Queue
from bedside.runtime.errors import ResourceError
from pydicom.datadict import dictionary_VR
from pydicom.pixels.utils import pixel_array

from ..dicom.node import parties
from .conftest import FULL
from .faults import Faults
from .restless import Restless, wait_while_it_moves
from .test_dicom import CANARY, TEXTS

SERIES = 1000
TOGETHER = 10  # series whose instances are sent among each other
SLICES = 4


def stored(association, file):
    """Whether an instance was acknowledged; not where the association is gone, because the node was killed."""
    try:
        return association.send_c_store(pydicom.dcmread(file)).get("Status") == 0
    except RuntimeError:  # pynetdicom's word for it
        return False


def broken_within_an_instance(association, file):
    """Sends the first half of an instance's last PDU, and closes the connection."""
    connection = association.dul.socket
    whole = connection.send

    def half(content):
        if len(content) < 1000:  # the command goes first
            return whole(content)
        connection.socket.sendall(content[: len(content) // 2])
        connection.close()
        return None

    connection.send = half
    stored(association, file)


def send_in_disorder(port, files, rng, count):
    """Sends every file until it is acknowledged; some twice, in random order, over associations that break."""
    left = [*files, *rng.choice(files, len(files) // 5)]
    rng.shuffle(left)
    while left:
        with parties.sending(port) as association:
            if not association.is_established:
                time.sleep(0.2)
                continue
            for _ in range(int(rng.integers(1, 25))):
                if not left:
                    break
                if not stored(association, left[-1]):
                    count["instances sent again"] += 1
                    break
                left.pop()
            end = str(rng.choice(["released", "released", "aborted", "broken within an instance"]))
            if left and association.is_established and end != "released":
                count[f"associations {end}"] += 1
                if end == "aborted":
                    association.abort()
                else:
                    broken_within_an_instance(association, left[-1])


def is_own(made, number):
    """Whether a result is of the patient, the place and the labels of one series."""
    (rows, columns), labels = parties.expected_block(number), pixel_array(made)
    expected = np.zeros_like(labels)
    expected[1:3, slice(*rows), slice(*columns)] = 2
    referenced = made.ReferencedSeriesSequence[0]
    return (
        made.PatientID == f"ID{number}"
        and made.FrameOfReferenceUID == f"1.2.3.79.{number}"
        and referenced.SeriesInstanceUID == f"1.2.3.77.{number}"
        and np.array_equal(np.argwhere(labels), np.argwhere(expected))
    )


@cache
def read_result(file):
    """A result that arrived: series number, UID, the instances that it refers to, and whether it is the series' own."""
    made = pydicom.dcmread(file)
    number = int(made.PatientID.removeprefix("ID"))
    referenced = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    return number, made.SOPInstanceUID, {each.ReferencedSOPInstanceUID for each in referenced}, is_own(made, number)


def judged(folder, instances, count):
    """Counts what the peer has: series number → SOP Instance UIDs of the results of all its instances."""
    complete = defaultdict(set)
    for file in folder.glob("*.dcm"):
        number, uid, referenced, own = read_result(file)
        whole = referenced == instances[number]
        count["mixed up"] += not referenced <= instances[number] or (whole and not own)
        count["arrivals"] += 1
        if whole:
            complete[number].add(uid)
        else:
            count["of a part, superseded"] += 1
    return complete


@pytest.mark.parametrize("storescp", ["pynetdicom", "dcmtk"])
def test_29_no_series_is_lost_doubled_or_mixed_up_while_node_and_peer_are_killed(
    toy, tmp_path, trials, count, storescp
):
    if storescp == "dcmtk" and shutil.which("storescp") is None:
        pytest.skip("needs DCMTK's storescp (Debian: apt install dcmtk)")
    rng, number = np.random.default_rng(29), trials(SERIES)
    port, peer_port = parties.free_port(), parties.free_port()
    bundle = parties.node_bundle(toy, tmp_path / "node.bedside")
    waits = {"quiet_seconds": 2.0, "quiet_after_abort_seconds": 4.0, "attempts": 1000}
    config = parties.node_toml(tmp_path, bundle, port, peer_port, storescp=storescp, **waits)
    received = tmp_path / "received"
    received.mkdir()
    files = {each: parties.series(tmp_path / f"ct{each}", each, slices=SLICES) for each in range(number)}
    instances = {each: {pydicom.dcmread(file).SOPInstanceUID for file in files[each]} for each in files}
    seeds = [np.random.default_rng(seed) for seed in (291, 292)]
    node = Restless(
        ["-m", "bedside", "node", "--config", config],
        tmp_path / "log",
        seeds[0],
        lambda: parties.is_listening(port),
        lambda: sum(1 for _ in tmp_path.glob("queue/series/*/*/*")) // 4,
        max(3, number // 10),
    )
    peer = Restless(
        [parties.SCORECARD / "child_result_peer.py", received, peer_port],
        tmp_path / "peer.log",
        seeds[1],
        lambda: parties.is_listening(peer_port),
        lambda: len(list(received.glob("*.dcm"))),
        max(3, number // 10),
    )
    parties.wait_until_listening(port, node.process, 120)
    with node.killed(), peer.killed():
        for first in range(0, number, TOGETHER):
            together = [file for each in range(first, min(first + TOGETHER, number)) for file in files[each]]
            send_in_disorder(port, together, rng, count)
        wait_while_it_moves(lambda: len(judged(received, instances, defaultdict(int))), number, 120)
    time.sleep(3)  # for what would come twice
    complete = judged(received, instances, count)
    count["series"] = number
    count["killed nodes"], count["killed peers"] = node.kills, peer.kills
    count["lost"] = number - len(complete)
    count["done twice"] = sum(len(uids) > 1 for uids in complete.values())
    assert node.end() == 143
    peer.process.kill()
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "Doe" not in log
    assert count["lost"] == 0, log[-4000:]
    assert count["done twice"] == 0
    assert count["mixed up"] == 0
    assert min(count["killed nodes"], count["killed peers"]) >= (10 if FULL else 1)  # else the trial shows nothing
    assert count["associations aborted"] > 0
    assert count["associations broken within an instance"] > 0


def queued(folder):
    """The instances that a queue holds, after a restart, by their content."""
    with Queue.open(folder, quiet_seconds=0) as queue:
        return sorted(file.read_bytes() for series in queue for file in series.files())


def test_14_a_fault_at_any_call_of_the_system_loses_no_acknowledged_instance(tmp_path, monkeypatch, count):
    """Every open, write, fsync, rename, mkdir and close fails once while an instance is put into the queue."""
    failing = 0
    while True:
        folder = tmp_path / str(failing)
        faults, acknowledged = Faults(folder, failing, errno.ENOSPC), [b"first"]
        with Queue.open(folder, quiet_seconds=0) as queue:
            queue.put(InstanceName("", "", "1", "1"), b"first")
            with monkeypatch.context() as patch:
                faults.install(patch)
                try:
                    queue.put(InstanceName("", "", "2", "2"), b"second")
                    acknowledged.append(b"second")
                except (ResourceError, OSError):
                    count["refused"] += 1
            if len(acknowledged) == 1:
                queue.put(InstanceName("", "", "2", "2"), b"second")  # the peer sends it again
        assert queued(folder) == [b"first", b"second"]
        assert list(folder.rglob(".bedside-*")) == []
        if failing >= len(faults.calls):
            break
        failing += 1
    assert count["refused"] > 5


def test_22_canaries_in_every_text_of_a_header_are_in_no_log_name_or_journal_of_a_node(
    toy, tmp_path, caplog, capfd, trials, count
):
    caplog.set_level(0)
    caplog.set_level(0, logger="bedside")
    rng = np.random.default_rng(22)
    bundle = parties.node_bundle(toy, tmp_path / "node.bedside")
    peer, port = parties.ResultPeer(), parties.free_port()
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port, rule="report = true"))
    sent, number = set(), trials(200)
    with parties.node_here(config):
        for each in range(number):
            outcome = str(rng.choice(["sound", "gap", "damaged", "no rule"]))
            files = marked_series(tmp_path / f"ct{each}", each, outcome)
            parties.send(port, files[:2] + files[3:] if outcome == "gap" else files)
            sent |= set() if outcome != "sound" else {each}
            count[outcome] += 1
        assert parties.wait_until(lambda: len(peer.results) >= len(sent), 60 + number)
        for each in range(number):
            shutil.rmtree(tmp_path / f"ct{each}")
        names = "\n".join(str(path) for path in (tmp_path / "queue").rglob("*"))
        journal = "".join(path.read_text() for path in (tmp_path / "queue").rglob("*.json"))
    peer.close()
    said = "".join(capfd.readouterr())
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records if "node" in record.name)
    assert "is refused" in logged
    assert "the result is at" in logged
    assert CANARY[:5].upper() not in f"{names}{journal}{said}{logged}".upper()
    count["0 found"] += 1


def marked_series(folder, number, outcome):
    """A series with canaries in a text of its header and in its UIDs' place; broken where the outcome says so."""
    marked = TEXTS[number % len(TEXTS)]
    files = parties.series(folder, number, slices=6)
    for file in files:
        made = pydicom.dcmread(file)
        long = dictionary_VR(marked) not in ("CS", "SH")
        setattr(made, marked, CANARY * 3 if long else CANARY.upper().replace("^", "_"))
        made.Modality = "MR" if outcome == "no rule" else "CT"
        made.SeriesInstanceUID = f"1.2.3.77.{number}"
        if outcome == "damaged":
            made.PixelData = made.PixelData[:20]
        made.save_as(file)
    return files
