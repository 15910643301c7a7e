"""What the node's tests share."""

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
