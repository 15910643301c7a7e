from __future__ import annotations

from typing import Any

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.task import Modality
from bedside.training.data.formats.modality import channel_names_of, modality_of


@pytest.mark.parametrize(
    ("names", "modality"),
    [
        (("CT",), Modality.CT), (("ct",), Modality.CT), (("CT scan",), Modality.CT), (("MRI",), Modality.MR),
        (("MR",), Modality.MR), (("T1",), Modality.MR), (("T2-FLAIR",), Modality.MR), (("t1ce",), Modality.MR),
        (("CT, MR",), None), (("zscore",), None), (("PET",), None), ((), None), (("correct",), None),
    ],
)  # fmt: skip
def test_usual_names_of_a_modality_are_recognised_and_others_left_alone(
    names: tuple[str, ...], modality: Modality | None
) -> None:
    assert modality_of(names) is modality


@pytest.mark.parametrize(
    ("content", "channel"),
    [
        ({"modality": {"0": "CT"}}, ("CT",)),
        ({"modality": "MRI"}, ("MRI",)),
        ({"modality": ["T1"], "channel_names": {"0": "T1w"}}, ("T1", "T1w")),
        ({"modality": {"0": "CT"}, "channel_names": {"0": "CT"}}, ("CT",)),
        ({"modality": 3}, ()),
        ({"modality": ""}, ()),
        ({}, ()),
    ],
)
def test_every_name_of_the_only_channel_is_given_once(content: dict[str, Any], channel: tuple[str, ...]) -> None:
    assert channel_names_of(content, "a.json") == channel


def test_of_many_channels_four_are_named() -> None:
    with pytest.raises(InputError, match=r'^data set a\.json: .* got 5 in "channel_names" \(a, b, c, d, …\); bedside'):
        channel_names_of({"channel_names": list("abcde")}, "a.json")
