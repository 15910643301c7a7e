"""The two orders of axes: each converts to the other, a type checker tells them apart, and both are plain tuples."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bedside.runtime import DHW, XYZ, Grid, load_task

CONFUSED = """\
from bedside.runtime import DHW, XYZ
right: DHW = XYZ(1, 2, 3).dhw
scan: XYZ = DHW(1, 2, 3)
network: DHW = XYZ(1, 2, 3)
plain: XYZ = (1, 2, 3)
"""


def test_each_gives_the_other():
    assert XYZ(512, 400, 90).dhw == DHW(d=90, h=400, w=512)
    assert DHW(90, 400, 512).xyz == XYZ(x=512, y=400, z=90)
    assert (type(XYZ(1, 2, 3).dhw), type(DHW(3, 2, 1).xyz)) == (DHW, XYZ)


def test_a_type_checker_refuses_one_for_the_other(tmp_path):
    (tmp_path / "confused.py").write_text(CONFUSED, encoding="utf-8")
    (tmp_path / "bedside").symlink_to(Path(__file__).parents[2])  # where a type checker finds an installed package
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "confused.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert re.findall(r"confused\.py:(\d+):\d+ - error", done.stdout) == ["3", "4", "5"]


@pytest.mark.parametrize("sizes", [XYZ(7, 8, 9), DHW(7, 8, 9)])
def test_equals_reads_and_encodes_like_a_plain_tuple(sizes):
    assert sizes == (7, 8, 9)
    assert f"{sizes}" == "(7, 8, 9)"
    assert msgspec.json.encode(sizes) == b"[7,8,9]"
    assert msgspec.json.decode(b"[7,8,9]", type=type(sizes)) == sizes


@pytest.mark.parametrize("given", [(96, 96, 32), [96, 96, 32], XYZ(96, 96, 32)])
def test_task_and_grid_convert_what_the_caller_gives(given):
    patch, shape = load_task("btcv").replaced(patch=given).patch, Grid(given, np.eye(4)).shape
    assert patch.dhw == shape.dhw == (32, 96, 96)
    assert type(patch) is type(shape) is XYZ
