"""A node takes series, segments them by rule, sends the results back, and ends cleanly."""

from __future__ import annotations

import numpy as np
from bedside.cli.main import run
from pydicom.pixels.utils import pixel_array

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
    assert made.InstanceNumber == 1
    bone = np.argwhere(pixel_array(made) == 2)
    assert bone.min(0).tolist() == [1, 1, 1]
    assert bone.max(0).tolist() == [2, 4, 4]
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)


def test_check_says_that_the_configuration_is_sound(bundle, tmp_path, capfd):
    config = parties.node_toml(tmp_path, bundle, 11112, 104)
    assert run(["node", "--config", str(config), "--check"]) == 0
    assert 'configuration "node.toml" is sound: 1 rules' in capfd.readouterr().out
