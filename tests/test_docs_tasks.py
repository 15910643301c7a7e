"""docs/tasks.md says what runtime/task_presets.py does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bedside.runtime.task import Task
from bedside.runtime.task_presets import PRESETS, load_task

DOCUMENT = Path(__file__).parents[1] / "docs" / "tasks.md"
ALL_FROM_PAPER = "all from the paper"
ORIGINS = {
    "btcv": ALL_FROM_PAPER,
    "amos-ct": ALL_FROM_PAPER,
    "ct-org": ALL_FROM_PAPER,
    "pelvic": ALL_FROM_PAPER,
    "mm-whs": "labels from the data set, preprocessing ours",  # AutoProSAM names the data set, not its labels
}


def table_row(task: Task) -> str:
    """The row of a preset, as it must stand in the document."""
    intensity = task.intensity
    low, high = (f"{limit:g}".replace("-", "−") for limit in intensity.clip)
    clip = f"{low}…{high} {'% of the body' if intensity.clip_percentiles else 'HU'}"
    if intensity.scale_to is not None:
        normalise = f"to [{', '.join(f'{bound:g}' for bound in intensity.scale_to).replace('-', '−')}]"
    else:
        normalise = f"(x − {intensity.subtract:g}) / {intensity.divide:g}"
    origin = ORIGINS.get(task.name, "labels from the paper, preprocessing ours")
    spacing, patch = ("×".join(f"{value:g}" for value in triple) for triple in (task.spacing, task.patch))
    cells = (f"`{task.name}`", task.modality.value, task.anatomy, str(task.num_classes - 1), spacing, clip, normalise)
    return "| " + " | ".join((*cells, patch, origin)) + " |"


def label_line(task: Task) -> str:
    return f"- `{task.name}`: {', '.join(task.labels[1:])}"


@pytest.mark.parametrize("task", PRESETS.values(), ids=PRESETS.keys())
def test_the_row_and_the_labels_of_a_preset_stand_in_the_document(task: Task) -> None:
    unwrapped = re.sub(r"\n {2,}", " ", DOCUMENT.read_text(encoding="utf-8"))  # items of a list in one line each
    lines = unwrapped.splitlines()
    assert table_row(task) in lines
    assert label_line(task) in lines


def test_the_document_lists_no_preset_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(PRESETS)


def test_the_toml_example_is_a_valid_task(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "liver.toml").write_text(example, encoding="utf-8")
    task = load_task(tmp_path / "liver.toml")
    assert (task.name, task.labels) == ("liver", ("background", "liver", "tumour"))
    assert (task.spacing, task.patch, task.patch.dhw) == ((1.5, 1.5, 2.0), (128, 128, 96), (96, 128, 128))
    assert (task.intensity.clip, task.intensity.scale_to) == ((-100.0, 250.0), (0.0, 1.0))
