"""A checked struct accepts from Python what it accepts from a file, and names the field it refuses."""

from enum import Enum
from typing import Literal

import msgspec
import numpy as np
import pytest
from bedside.runtime.checked_struct import CheckedStruct
from bedside.runtime.errors import FieldError


class Colour(str, Enum):
    GREY = "grey"
    RGB = "rgb"


class Picture(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size: tuple[int, int]
    colour: Colour = Colour.GREY
    scale: float | None = None
    planes: tuple[str, ...] | Literal["all"] = ()


def test_lists_names_and_numpy_scalars_become_the_declared_types():
    picture = Picture(size=[np.int64(3), 4], colour="rgb", scale=np.float32(0.5))
    assert picture == Picture(size=(3, 4), colour=Colour.RGB, scale=0.5)
    assert (type(picture.size), type(picture.size[0]), type(picture.scale)) == (tuple, int, float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (3, "4")}, "size: expected int, got str at [1]"),
        ({"colour": "blue"}, 'colour: expected grey, rgb, got "blue"'),
        ({"scale": "x"}, "scale: expected float | None, got str"),
        (
            {"planes": "\ud800"},
            "planes: 'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
        ),
        ({"planes": "axial"}, 'planes: expected all or a list, got "axial"'),
    ],
)
def test_another_type_is_refused_with_the_field_and_what_came(changes, message):
    with pytest.raises(FieldError) as refused:
        Picture(**{"size": (3, 4), **changes})
    assert str(refused.value) == message


def test_a_file_is_refused_with_the_place_in_it():
    with pytest.raises(msgspec.ValidationError, match=r"\$\.size"):
        msgspec.json.decode(b'{"size": [3, "4"]}', type=Picture)
