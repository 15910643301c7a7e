"""docs/teachers.md: operations and memory of a step are those that `predict_cost` gives, where it takes seconds."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from bedside.export.threads import torch_threads
from bedside.teacher import TEACHERS, teacher_config
from bedside.teacher.cost import Cost, predict_cost

TEXT = (Path(__file__).parents[1] / "docs" / "teachers.md").read_text(encoding="utf-8")
BY_SLICES = ("3d-sautomed", "self-prompt-sam")  # whose predictions take up to half a minute each
ALL_ROWS = re.findall(r"^\| (`.*TFLOP.* GB) \|$", TEXT, re.MULTILINE)
ROWS = [row for row in ALL_ROWS if not row[1:].startswith(BY_SLICES)]
SIZES = ("vit_nano", "vit_small", "vit_b")


@pytest.fixture(autouse=True)
def one_thread():
    """The document's figures are those of one thread: with more, oneDNN's convolutions need other memory."""
    with torch_threads(1):
        yield


@cache
def predicted(family: str, patch: int, **options: str | bool) -> Cost:
    return predict_cost(teacher_config(family, **options), num_classes=14, patch=patch)


def of_row(title: str) -> Cost:
    """Returns the cost of a row such as "`vit_b`, 128³, `checkpoint_activations=True`"."""
    named = re.findall(r"`([\w-]+)", title)
    options = {("sam" if name.startswith("vit_") else name): name for name in named if name not in TEACHERS}
    if "checkpoint_activations" in options:
        options["checkpoint_activations"] = True
    family = next((name for name in named if name in TEACHERS), "autosam")
    return predicted(family, int(re.search(r"(\d+)³", title)[1]), **options)


def wrong(cells: str, *values: float) -> list[tuple[str, float]]:
    """Returns the figures of table cells that are off by more than one of their last digit, with the right ones."""
    figures = zip(re.findall(r"([\d.]+) (?:TFLOP|GB)", cells), values, strict=True)
    return [(text, value) for text, value in figures if abs(float(text) - value) > 10 ** -len(text.partition(".")[2])]


def of_size(title: str, sam: str) -> str:
    """Returns the cell of a SAM's size in the table of sizes."""
    (cells,) = re.findall(rf"^\| {title} \| (.*) \|$", TEXT, re.MULTILINE)
    return cells.split(" | ")[SIZES.index(sam)]


def test_a_figure_that_is_off_by_two_of_its_last_digit_is_found():
    assert wrong("0.27 GB | 2.30 TFLOP", 0.25, 2.295) == [("0.27", 0.25)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.partition(" | ")[0])
def test_what_a_step_costs_is_what_is_predicted(row):
    title, cells = row.split(" | ", 1)
    cost = of_row(title)
    assert wrong(cells, cost.forward_flops / 1e12, cost.step_flops / 1e12, cost.memory.peak / 1e9) == []


def test_every_family_but_those_by_slices_has_rows_that_are_compared():
    assert (len(ALL_ROWS), len(ROWS)) == (16, 8)


@pytest.mark.parametrize("sam", SIZES)
def test_the_step_of_a_size_is_what_is_predicted(sam):
    cost = predicted("autosam", 64, sam=sam)
    cells = of_size("step of one 64³ patch", sam) + of_size("its peak memory", sam)
    assert wrong(cells, cost.step_flops / 1e12, cost.memory.peak / 1e9) == []


@pytest.mark.parametrize("sam", ["vit_nano", "vit_small"])
def test_the_step_of_a_size_with_a_frozen_encoder_is_what_is_predicted(sam):
    cost = predicted("autosam", 64, sam=sam, train_encoder=False)
    cells = of_size("step, memory with `--no-train-encoder`", sam)
    assert wrong(cells, cost.step_flops / 1e12, cost.memory.peak / 1e9) == []
