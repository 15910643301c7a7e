"""What the node's tests share."""

import os

import pytest

from . import parties


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
