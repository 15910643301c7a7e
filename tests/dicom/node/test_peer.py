"""A peer that is called acknowledges, refuses, counts, or is not reached."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from bedside.dicom import open_series, write_segmentation, write_structure_set
from bedside.dicom.node import peer as module
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.peer import NotTakenError, PeerCaller, seconds_to_wait
from bedside.runtime.errors import InputError, ResourceError
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind

from ..written_series import write_series
from . import parties
from .test_tls import Authority, section


@pytest.fixture
def result(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    scan = open_series(files)
    labels = np.ones(scan.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, ("background", "liver"), scan, bundle_sha256="ab")
    return tmp_path / "seg.dcm"


def calling(tmp_path, peer_port):
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, peer_port))
    return PeerCaller(config), config.peer("pacs")


def test_a_result_arrives(tmp_path, peer, result):
    caller, pacs = calling(tmp_path, peer.port)
    caller.store(pacs, result)
    assert len(peer.results) == 1


@pytest.mark.parametrize(
    ("taken", "sent"), [([ExplicitVRLittleEndian], Path), ([ImplicitVRLittleEndian], pydicom.Dataset)]
)
def test_a_result_is_decoded_only_for_a_peer_that_takes_another_encoding(
    tmp_path, peer, result, monkeypatch, taken, sent
):
    """Decoded, encoded and waiting to be sent, it takes three times its size."""
    real, given = Association.send_c_store, []
    monkeypatch.setattr(Association, "send_c_store", lambda own, content: given.append(content) or real(own, content))
    monkeypatch.setattr(module, "_SYNTAXES", [taken])
    caller, pacs = calling(tmp_path, peer.port)
    caller.store(pacs, result)
    assert [isinstance(content, sent) for content in given] == [True]
    (arrived,) = peer.results.values()
    assert arrived.PixelData == pydicom.dcmread(result).PixelData


def test_a_long_contour_arrives_as_one(tmp_path, peer):
    scan = open_series(write_series(tmp_path / "ct", values=np.zeros((2, 120, 120), np.int16)))
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[::2] = labels[:, 0] = 1  # a comb, whose contour takes more than 64 KiB
    write_structure_set(tmp_path / "rt.dcm", labels, ("background", "liver"), scan, bundle_sha256="ab")
    caller, pacs = calling(tmp_path, peer.port)
    caller.store(pacs, tmp_path / "rt.dcm")
    (made,) = peer.results.values()
    contour = made.ROIContourSequence[0].ContourSequence[0]
    assert contour["ContourData"].VR == "DS"
    assert len(contour.ContourData) == 3 * contour.NumberOfContourPoints


def test_a_warning_counts_as_taken_and_a_failure_does_not(tmp_path, peer, result):
    caller, pacs = calling(tmp_path, peer.port)
    peer.status = 0xB000
    caller.store(pacs, result)
    peer.status = 0xA700
    with pytest.raises(NotTakenError, match='the peer "pacs" answered 0xA700'):
        caller.store(pacs, result)


def test_a_peer_that_does_not_know_the_kind_of_object(tmp_path, peer):
    (scan, *_) = parties.series(tmp_path / "ct", 3)
    caller, pacs = calling(tmp_path, peer.port)
    with pytest.raises(NotTakenError, match="does not accept this kind of object"):
        caller.store(pacs, scan)


def test_a_peer_that_is_away(tmp_path, result):
    caller, pacs = calling(tmp_path, parties.free_port())
    with pytest.raises(ResourceError, match='the peer "pacs" is not reached'):
        caller.store(pacs, result)


def test_counts_are_those_of_the_series(tmp_path, peer):
    caller, pacs = calling(tmp_path, peer.port)
    peer.counts = {"1.2.3": 120}
    assert caller.count(pacs, "1.2", "1.2.3") == 120
    assert caller.count(pacs, "1.2", "1.2.4") is None


def test_a_peer_that_aborts_before_anything_is_sent_is_a_resource_error(tmp_path, peer, result, monkeypatch):
    caller, pacs = calling(tmp_path, peer.port)
    for name in ("send_c_store", "send_c_find"):
        monkeypatch.setattr(Association, name, after_an_abort(getattr(Association, name)))
    with pytest.raises(ResourceError, match=r'the association with the peer "pacs" failed \(RuntimeError\)') as failed:
        caller.store(pacs, result)
    assert not isinstance(failed.value, NotTakenError)
    with pytest.raises(ResourceError, match=r'the association with the peer "pacs" failed \(RuntimeError\)'):
        caller.count(pacs, "1.2", "1.2.3")


@contextmanager
def stalling_peer(answer):
    """A peer that answers the request for an association as given and from then on neither reads nor writes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            held.append(connection)
            connection.sendall(answer(connection.recv(2**16)))

        held = []
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
        for connection in held:
            connection.close()


def accepted(request):
    """A-ASSOCIATE-AC for a request: every presentation context with its first transfer syntax."""
    asked = A_ASSOCIATE_RQ()
    asked.decode(request)
    primitive = asked.to_primitive()
    primitive.result = 0
    primitive.presentation_context_definition_results_list = [
        accepted_context(each) for each in primitive.presentation_context_definition_list
    ]
    answer = A_ASSOCIATE_AC()
    answer.from_primitive(primitive)
    return answer.encode()


def accepted_context(asked):
    context = PresentationContext()
    context.context_id, context.abstract_syntax, context.result = asked.context_id, asked.abstract_syntax, 0
    context.transfer_syntax = [asked.transfer_syntax[0]]
    return context


def begins_a_pdu(request):
    return b"\x02\0\0\0"


def accepts_and_begins_a_pdu(request):
    return accepted(request) + b"\x04\0\0\0\x01\0"


@pytest.mark.parametrize("answer", [begins_a_pdu, accepted, accepts_and_begins_a_pdu])
def test_a_peer_that_stalls_is_given_up_and_holds_no_thread(tmp_path, answer):
    file = parties.series(tmp_path / "ct", 3)[0]
    large = pydicom.dcmread(file)
    large.Rows, large.Columns, large.PixelData = 4000, 4000, bytes(32_000_000)  # more than the kernel's buffers hold
    large.save_as(tmp_path / "large.dcm")
    before = threading.active_count()
    with stalling_peer(answer) as port:
        config = load_node_config(
            parties.node_toml(tmp_path, "none.bedside", 0, port, more="[limits]\ntimeout_seconds = 1")
        )
        begun = time.monotonic()
        with pytest.raises(ResourceError, match='the peer "pacs"'):
            PeerCaller(config).store(config.peer("pacs"), tmp_path / "large.dcm")
        assert time.monotonic() - begun < 20
    assert parties.wait_until(lambda: threading.active_count() <= before)


def after_an_abort(send):
    def aborted(association, *words):
        association.abort()
        return send(association, *words)

    return aborted


def test_a_result_whose_transfer_syntax_the_peer_did_not_accept_is_not_taken(tmp_path, peer, result):
    made = pydicom.dcmread(result)
    del made.PixelData
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    made.save_as(result)
    caller, pacs = calling(tmp_path, peer.port)
    with pytest.raises(NotTakenError, match='the result cannot be encoded for the peer "pacs"'):
        caller.store(pacs, result)


def test_a_result_that_cannot_be_read_is_not_the_peers_fault(tmp_path, peer, result):
    caller, pacs = calling(tmp_path, peer.port)
    with pytest.raises(FileNotFoundError):
        caller.store(pacs, tmp_path / "none.dcm")
    result.write_bytes(b"no DICOM")
    with pytest.raises(InvalidDicomError):
        caller.store(pacs, result)


@contextmanager
def finding_peer(answers):
    """A peer that answers C-FIND with what a generator makes of the query; yields its port."""
    entity = AE(ae_title="PACS")
    entity.add_supported_context(StudyRootFind)
    handlers = [(evt.EVT_C_FIND, lambda event: ((0xFF00, each) for each in answers(event.identifier)))]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def match(uid, count):
    found = Dataset()
    found.QueryRetrieveLevel, found.SeriesInstanceUID = "SERIES", uid
    found.NumberOfSeriesRelatedInstances = count
    return found


def test_a_count_that_is_several_is_a_resource_error(tmp_path):
    with finding_peer(lambda query: [match(query.SeriesInstanceUID, [4, 4])]) as port:
        caller, pacs = calling(tmp_path, port)
        with pytest.raises(ResourceError, match="a count that is no number"):
            caller.count(pacs, "1.2", "1.2.3")


@pytest.mark.parametrize("count", ["7 of 8", float("inf")])
def test_a_count_that_is_no_number_is_a_resource_error(tmp_path, peer, monkeypatch, count):
    pending, found = Dataset(), {"SeriesInstanceUID": "1.2.3", "NumberOfSeriesRelatedInstances": count}
    pending.Status = 0xFF00
    monkeypatch.setattr(Association, "send_c_find", lambda *_: iter([(pending, found)]))
    caller, pacs = calling(tmp_path, peer.port)
    with pytest.raises(ResourceError, match="a count that is no number"):
        caller.count(pacs, "1.2", "1.2.3")


def test_a_peer_that_ignores_the_key_and_finds_other_series_is_asked_for_ours_alone(tmp_path):
    with finding_peer(lambda query: [match("1.2.9", 300), match(query.SeriesInstanceUID, 4)]) as port:
        caller, pacs = calling(tmp_path, port)
        assert caller.count(pacs, "1.2", "1.2.3") == 4
    with finding_peer(lambda query: [match("1.2.9", 300)]) as port:
        caller, pacs = calling(tmp_path, port)
        assert caller.count(pacs, "1.2", "1.2.3") is None


@pytest.mark.parametrize(("most", "seconds_each"), [(3, 0), (10**9, 20)])
def test_a_peer_whose_matches_do_not_end_is_given_up(tmp_path, monkeypatch, most, seconds_each):
    monkeypatch.setattr(module, "_MOST_MATCHES", most)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=itertools.count(0, seconds_each).__next__))
    with finding_peer(lambda query: itertools.repeat(match(query.SeriesInstanceUID, 4))) as port:
        caller, pacs = calling(tmp_path, port)
        with pytest.raises(ResourceError, match=f"the peer's matches are over {most}, or take over 60 s"):
            caller.count(pacs, "1.2", "1.2.3")


def test_certificates_are_read_at_the_start_and_no_call_needs_the_files(tmp_path, result):
    tls = Authority(tmp_path, "ours").issue("node")
    path = parties.node_toml(tmp_path, "none.bedside", 0, parties.free_port(), more=section(tls))
    path.write_text(path.read_text().replace('ae_title = "PACS"', 'ae_title = "PACS"\ntls = true'))
    config = load_node_config(path)
    caller = PeerCaller(config)
    Path(tls.key).unlink()
    with pytest.raises(ResourceError, match='the peer "pacs" is not reached'):
        caller.store(config.peer("pacs"), result)
    with pytest.raises(InputError, match=r'tls\.key: "node\.key" cannot be used'):
        PeerCaller(config)


def test_waits_double_up_to_the_longest():
    assert [seconds_to_wait(number) for number in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]
