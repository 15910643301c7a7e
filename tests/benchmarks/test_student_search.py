"""The logic of the scripts in benchmarks/student_search; a search itself is repeated by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "student_search"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("plan", "plug_in", "relative_time", "report", "search"))


@pytest.fixture
def designs(script):
    return dict(zip(("searched_0", "searched_1"), script("plan").drawn_designs(0), strict=False))


def test_designs_are_drawn_once_and_every_one_can_be_built(script):
    from bedside.distill.students.edge_unet import EdgeUNet

    drawn = [*islice(script("plan").drawn_designs(3), 60)]
    assert drawn == [*islice(script("plan").drawn_designs(3), 60)]
    assert len(set(drawn)) == 60
    assert {design.stem_stride for design in drawn} == {1, 2}
    for design in drawn:
        assert all(width % 8 == 0 and 8 <= width <= 192 for width in (*design.channels, *design.decoder))
        EdgeUNet(2, design)


def test_a_process_with_the_plug_in_knows_the_designs(script, designs, tmp_path):
    module = script("plug_in")
    module.write_plug_in(tmp_path, designs)
    asks = (
        "from bedside.distill import STUDENTS; spec = STUDENTS.find('searched_1');"
        "print(spec.patch_rule.multiple, sum(p.numel() for p in spec.build(3).parameters()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asks], env=module.with_plug_in(tmp_path), capture_output=True, text=True, check=True
    )
    from bedside.distill.students.edge_unet import EdgeUNet

    design = designs["searched_1"]
    parameters = sum(p.numel() for p in EdgeUNet(3, design).parameters())
    assert done.stdout.split() == [str(design.patch_rule.multiple), str(parameters)]


def test_a_time_is_the_median_share_of_the_other(script):
    shares = iter((3.0, 1.0, 2.0, 9.0, 2.0))
    assert script("relative_time").relative_time(lambda: next(shares), lambda: 0.5, wanted=4.0) == 4.0


@pytest.mark.parametrize("wanted", [2.9, 25.0])
def test_a_time_far_from_the_wanted_one_is_that_of_one_round(script, wanted):
    shares = iter((3.0,))
    assert script("relative_time").relative_time(lambda: next(shares), lambda: 0.5, wanted) == 6.0


def test_a_student_that_needs_a_larger_window_has_its_share_of_the_time(script, monkeypatch):
    from bedside.distill import PatchRule, StudentSpec
    from bedside.runtime.axes import DHW
    from torch import nn

    module = script("relative_time")
    monkeypatch.setattr(module, "call_times", lambda call, **_: [call() is None or 8.0])
    spec = StudentSpec(lambda classes: nn.Conv3d(1, classes, 1), "a test", PatchRule(multiple=16))
    with module.opened_windows(spec, 2, DHW(8, 16, 16), threads=1) as seconds:
        assert seconds() == 4.0


@pytest.fixture
def found(script, designs, tmp_path):
    """A search after one round, and one more training of the winner and of the student that takes part in all."""
    from dataclasses import asdict

    candidates = {name: {"time": 0.75, "design": asdict(design)} for name, design in designs.items()}
    (tmp_path / "candidates.json").write_text(json.dumps(candidates))
    dice = {("searched_0", 0): 0.5, ("searched_1", 0): 0.6, ("searched_1", 1): 0.7, ("unet-nano", 0): 0.55}
    for (name, number), value in {**dice, ("unet-nano", 1): 0.65}.items():
        folder = script("plan").run_folder(tmp_path, name, number)
        folder.mkdir(parents=True)
        (folder / "dice.json").write_text(json.dumps(value))
    return tmp_path


def test_the_better_half_goes_on(script, found):
    assert script("search").better_half(found, ["searched_0", "searched_1"], 0) == ["searched_1"]


def test_the_table_has_what_got_furthest_first(script, found):
    script("report").write_report(found, ["unet-nano"])
    rows = [line.strip("| ").split(" | ") for line in (found / "tables.md").read_text().splitlines()[2:]]
    assert [row[0] for row in rows] == ["searched_1", "unet-nano", "searched_0"]
    assert rows[0][-3:] == ["0.75", "60.00", "70.00"]
