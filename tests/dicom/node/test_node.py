"""A node takes series, segments them by rule, sends the results back, and ends cleanly."""

from __future__ import annotations

import logging
import shutil
import time

import numpy as np
import pydicom
import pytest
from bedside.cli.main import run
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.node import run_node
from bedside.runtime.errors import ResourceError
from pydicom.pixels.utils import pixel_array

from ...vanishing_paths import paths_in
from . import parties


def test_a_series_comes_back_as_a_segmentation_of_itself(bundle, tmp_path, peer):
    port = parties.free_port()
    config = parties.node_toml(tmp_path, bundle, port, peer.port)
    files = parties.series(tmp_path / "ct", 9)
    with parties.running_node(config, port, tmp_path / "log") as process:
        assert parties.send(port, files) == [0] * len(files)
        (made,) = peer.wait_for(1)
    assert process.returncode == 143
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.77.9"
    assert made.PatientID == "ID9"
    assert made.InstanceNumber == len(files)
    bone = np.argwhere(pixel_array(made) == 2)
    assert bone.min(0).tolist() == [1, 1, 1]
    assert bone.max(0).tolist() == [2, 4, 4]
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)


def test_a_result_that_no_peer_took_comes_in_the_form_that_the_rule_asks_for_now(bundle, tmp_path, peer):
    port = parties.free_port()
    config = parties.node_toml(tmp_path, bundle, port, peer.port)
    peer.status = 0x0122  # the peer takes no label maps
    with parties.node_here(load_node_config(config)):
        parties.send(port, parties.series(tmp_path / "ct", 9))
        assert parties.wait_until(lambda: peer.arrivals)
    parties.node_toml(tmp_path, bundle, port, peer.port, rule="binary = true")
    peer.status = 0
    with parties.node_here(load_node_config(config)):
        (made,) = peer.wait_for(1)
    assert made.SegmentationType == "BINARY"


def test_check_says_that_the_configuration_is_sound_and_shows_the_queue(bundle, tmp_path, capfd):
    config = parties.node_toml(tmp_path, bundle, 11112, 104)
    assert run(["node", "--config", str(config), "--check"]) == 0
    told = capfd.readouterr().out
    assert 'configuration "node.toml" is sound: 1 rule, all bundles open' in told
    assert "nothing waits in the queue" in told


def test_a_result_waits_for_a_peer_that_is_away(bundle, tmp_path):
    port, peer_port = parties.free_port(), parties.free_port()
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer_port))
    with parties.node_here(config):
        parties.send(port, parties.series(tmp_path / "ct", 3))
        assert parties.wait_until(lambda: any(path.match("*-seg.dcm") for path in paths_in(tmp_path / "queue")))
        time.sleep(0.5)
        peer = parties.ResultPeer(peer_port)
        try:
            assert len(peer.wait_for(1)) == 1
        finally:
            peer.close()


def test_series_of_the_run_before_are_finished(bundle, tmp_path, peer):
    port = parties.free_port()
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port, quiet_seconds=1.0))
    with parties.node_here(config):
        parties.send(port, parties.series(tmp_path / "ct", 3))
    assert peer.results == {}
    with parties.node_here(config):
        assert len(peer.wait_for(1)) == 1


def test_instances_that_storescp_received_are_not_left_behind_by_another_receiver(bundle, tmp_path):
    config = load_node_config(parties.node_toml(tmp_path, bundle, 0, 104))
    (tmp_path / "queue" / "incoming" / "a1" / "files").mkdir(parents=True)
    with pytest.raises(ResourceError, match="received and no node has taken"):
        run_node(config)


def test_a_series_that_is_sent_twice_has_one_result(bundle, tmp_path, peer):
    port = parties.free_port()
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port))
    files = parties.series(tmp_path / "ct", 3)
    with parties.node_here(config):
        parties.send(port, files)
        peer.wait_for(1)
        parties.send(port, files)
        time.sleep(1.0)
    assert sum(peer.arrivals.values()) == 1


def test_finished_series_leave_the_queue(bundle, tmp_path, peer):
    port = parties.free_port()
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port, keep_hours=0.0))
    with parties.node_here(config):
        parties.send(port, parties.series(tmp_path / "ct", 3))
        peer.wait_for(1)
        assert parties.wait_until(lambda: not list((tmp_path / "queue" / "series").iterdir()))


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        (lambda text: text.replace('queue = "queue"', "queue = 3"), "node.queue", 3),
        (lambda text: text.replace("node.bedside", "gone.bedside"), "no bundle at", 4),
        (lambda text: text.replace('engine = "onnxruntime"', 'engine = "abacus"'), "abacus", 2),
    ],
)
def test_what_cannot_start_is_refused_in_one_line(bundle, tmp_path, capfd, change, words, code):
    config = parties.node_toml(tmp_path, bundle, 11112, 104)
    config.write_text(change(config.read_text()))
    assert run(["node", "--config", str(config)]) == code
    said = capfd.readouterr().err.strip()
    assert words in said
    assert len(said.splitlines()) == 1


def test_the_log_of_the_libraries_comes_back_as_it_was(bundle, tmp_path, peer):
    before = [(each.level, each.propagate) for each in map(logging.getLogger, ("pydicom", "pynetdicom"))]
    config = load_node_config(parties.node_toml(tmp_path, bundle, parties.free_port(), peer.port))
    with parties.node_here(config):
        pass
    assert [(each.level, each.propagate) for each in map(logging.getLogger, ("pydicom", "pynetdicom"))] == before


@pytest.mark.parametrize("storescp", ["pynetdicom", "dcmtk"])
def test_a_sender_that_keeps_its_association_open_gets_the_result_of_its_series(bundle, tmp_path, peer, storescp):
    if storescp == "dcmtk" and shutil.which("storescp") is None:
        pytest.skip("DCMTK is not installed")
    port, limits = parties.free_port(), "[limits]\ntimeout_seconds = 3.0"
    config = parties.node_toml(tmp_path, bundle, port, peer.port, more=limits, storescp=storescp)
    files = parties.series(tmp_path / "ct", 9)
    with parties.running_node(config, port, tmp_path / "log"), parties.sending(port) as association:
        for file in files:
            assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        (made,) = peer.wait_for(1)
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)
