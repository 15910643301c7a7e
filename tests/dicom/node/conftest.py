"""What the node's tests share."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.peer import PeerCaller
from bedside.dicom.node.queue import Queue
from bedside.dicom.node.worker import Worker
from bedside.runtime.segmenter import Segmenter

from . import parties


@pytest.fixture
def work(bundle, tmp_path, peer):
    """Makes a worker whose rule is changed as a test needs it; returns it with its queue."""
    opened = ExitStack()

    def make(rule="", cancel=None, **node):
        path = parties.node_toml(tmp_path, bundle, 0, peer.port, rule=rule, **{"quiet_seconds": 0.0, **node})
        config = load_node_config(path)
        queue = opened.enter_context(Queue.open(Path(config.node.queue), quiet_seconds=0))
        segmenter = opened.enter_context(Segmenter.load(bundle, "onnxruntime", "fp32", 1))
        return Worker(config, queue, {str(bundle): segmenter}, PeerCaller(config), cancel), queue

    with opened:
        yield make


@pytest.fixture
def bundle(toy, tmp_path):
    return parties.node_bundle(toy, tmp_path / "node.bedside")


@pytest.fixture
def peer():
    made = parties.ResultPeer()
    yield made
    made.close()


@pytest.fixture
def association(tmp_path):
    """The folder of an association in the queue of a test, whose storescp is this process."""
    from bedside.dicom.node import incoming

    folder, lock = incoming.made_folder(tmp_path / "queue" / "incoming", "association")
    os.write(lock, str(os.getpid()).encode())
    yield folder
    os.close(lock)
