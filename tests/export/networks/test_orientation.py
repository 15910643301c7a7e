"""Networks that were trained on scans as stored need the orientation of these scans."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bedside.export.networks.orientation import training_orientation
from bedside.runtime import Grid, write_volume
from bedside.runtime.errors import InputError, UsageError

LABELS = ("background", "fat")
FLIPS = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1)}


def dataset(folder, *orientations):
    cases = []
    for number, orientation in enumerate(orientations):
        grid = Grid((3, 4, 5), np.diag([*FLIPS[orientation], 1.0]))
        for kind in ("image", "label"):
            write_volume(folder / f"{kind}{number}.nii.gz", np.zeros(grid.shape, np.uint8), grid)
        cases.append({"image": f"image{number}.nii.gz", "label": f"label{number}.nii.gz"})
    (folder / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "fat"}, "training": cases}))
    return folder


def test_the_scans_of_a_data_set_say_their_orientation(tmp_path):
    assert training_orientation(None, dataset(tmp_path, "LPS", "LPS"), LABELS) == "LPS"


def test_the_callers_word_counts_first(tmp_path):
    assert training_orientation("PIR", dataset(tmp_path, "LPS"), LABELS) == "PIR"


@pytest.mark.parametrize("given", [None, "RAS"])
def test_a_network_that_turns_its_scans_says_the_orientation_itself(given):
    assert training_orientation(given, None, LABELS, turned="RAS") == "RAS"


def test_an_orientation_that_the_network_turns_away_from_is_refused():
    with pytest.raises(UsageError, match="orientation LPS has no effect: the network turns its scans to RAS"):
        training_orientation("LPS", None, LABELS, turned="RAS")


def test_scans_stored_differently_are_refused_with_their_counts(tmp_path):
    with pytest.raises(InputError, match=r"stored differently \(2 as LPS, 1 as RAS\); give --orientation"):
        training_orientation(None, dataset(tmp_path, "LPS", "RAS", "LPS"), LABELS)


def test_without_scans_and_codes_there_is_no_orientation():
    with pytest.raises(InputError, match="give --orientation, their axes such as LPS, or --calibration"):
        training_orientation(None, None, LABELS)


def test_other_codes_are_refused():
    with pytest.raises(UsageError, match='orientation: expected axis codes such as "RAS", got "RRS"'):
        training_orientation("RRS", None, LABELS)
