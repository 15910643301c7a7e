from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task import Foreground, Intensity, Modality, Task
from bedside.runtime.task_presets import PRESETS, load_task

# name: organs, spacing, clip; the papers' figures (appendix 7.2 for the first four).
PAPER = {
    "btcv": (13, (1, 1, 1.5), (-125, 275)),
    "amos-ct": (15, (1, 1, 1.5), (-991, 362)),
    "ct-org": (5, (2, 2, 2), (-1000, 1000)),
    "pelvic": (3, (1.5, 1.5, 1.5), (-50, 150)),
    "amos-mr": (15, (1, 1, 1.5), None),
    "mm-whs": (7, (1, 1, 1), None),
    "synapse": (8, (1, 1, 3), (-125, 275)),
    "acdc": (3, (1.5, 1.5, 5), None),
    "chaos": (4, (1.5, 1.5, 3), None),
    "segthor": (4, (1, 1, 2.5), None),
}

USER_TASK = """
name = "two-kidneys"
modality = "CT"
labels = ["background", "kidney_left", "kidney_right"]
spacing = [1.5, 1.5, 2.0]
orientation = "LPS"
patch = [96, 96, 64]

[intensity]
clip = [-100.0, 300.0]
subtract = 50.0
divide = 80.0

[foreground]
above = -400.0
"""


def toml(task: Task) -> str:
    """Writes a task as the TOML a user would write: every value of ours is also valid TOML in JSON form."""
    fields = msgspec.to_builtins(task)
    tables = {key: fields.pop(key) for key in ("intensity", "foreground")}
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in fields.items()]
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in table.items() if value is not None]
    return "\n".join(lines)


def test_there_are_ten_presets():
    assert set(PRESETS) == set(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_holds_the_numbers_of_its_paper(name):
    organs, spacing, clip = PAPER[name]
    task = load_task(name)
    assert task is PRESETS[name]
    assert task.num_classes == organs + 1
    assert task.spacing == spacing
    assert task.orientation == "RAS"
    if clip is not None:
        assert task.intensity.clip == clip


def test_normalisation_of_the_papers():
    assert PRESETS["btcv"].intensity.scale_to == (0, 1)
    assert PRESETS["ct-org"].intensity.scale_to == (-1, 1)
    assert (PRESETS["amos-ct"].intensity.subtract, PRESETS["amos-ct"].intensity.divide) == (50, 141)


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_survives_toml(tmp_path, name):
    (tmp_path / "task.toml").write_text(toml(PRESETS[name]), encoding="utf-8")
    assert load_task(tmp_path / "task.toml") == PRESETS[name]


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_survives_the_json_of_a_bundle(name):
    assert msgspec.json.decode(msgspec.json.encode(PRESETS[name]), type=Task) == PRESETS[name]


def test_a_users_task(tmp_path):
    (tmp_path / "task.toml").write_text(USER_TASK)
    task = load_task(str(tmp_path / "task.toml"))
    assert task.modality is Modality.CT
    assert task.patch.dhw == (64, 96, 96)
    assert task.intensity == Intensity(clip=(-100, 300), subtract=50, divide=80)
    assert task.foreground == Foreground(above=-400)
    assert task.index("kidney_right") == 2
    assert task.has_paired_organs


def test_only_tasks_that_name_a_side_have_paired_organs():
    paired = {name for name, task in PRESETS.items() if task.has_paired_organs}
    assert {"btcv", "amos-ct", "amos-mr", "synapse", "chaos"} <= paired
    assert not {"ct-org", "pelvic", "segthor"} & paired


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(UsageError, match=r'no task "btvc".*btcv'):
        load_task("btvc")


@pytest.mark.parametrize("name", ["liver.toml", "conf/liver", "conf/Liver.TOML"])
def test_a_file_that_is_missing_is_not_taken_for_a_presets_name(name):
    with pytest.raises(UsageError, match=f'no task file "{name}"; check the path, or give one of: btcv'):
        load_task(name)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have_is_an_unknown_name(name):
    with pytest.raises(UsageError, match="no task"):
        load_task(name)


def test_foreground_is_a_number():
    with pytest.raises(ValueError, match="foreground"):
        Foreground(above=float("nan"))


def test_an_unknown_label_lists_the_labels():
    with pytest.raises(UsageError, match="prostate, bladder, rectum"):
        PRESETS["pelvic"].index("liver")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('modality = "CT"', 'modality = "PET"', "modality"),
        ('"background", ', "", "background"),
        ('"kidney_right"', '"kidney_left"', "once"),
        ("[1.5, 1.5, 2.0]", "[1.5, 0, 2.0]", "spacing"),
        ("[1.5, 1.5, 2.0]", "[1.5, nan, 2.0]", "spacing"),
        ("[1.5, 1.5, 2.0]", "[1.5, 2.0]", "spacing"),
        ("[96, 96, 64]", "[96, 96, 0]", "patch"),
        ("[96, 96, 64]", "[96.5, 96, 64]", "patch"),
        ('"LPS"', '"LPX"', "orientation"),
        ('"LPS"', '"LRS"', "orientation"),
        ("[-100.0, 300.0]", "[300.0, -100.0]", "clip"),
        ("[-100.0, 300.0]", "[-inf, inf]", "intensity"),
        ("[-100.0, 300.0]", "[-1e300, 1e300]", "intensity"),
        ("divide = 80.0", "divide = nan", "intensity"),
        ("divide = 80.0", "divide = 1e-320", "intensity"),
        ("[96, 96, 64]", "[100000, 100000, 100000]", "patch"),
        ('"kidney_right"', '"kidney\\nright"', "one line"),
        ('"kidney_right"', '" "', "one line"),
        ('name = "two-kidneys"', "name = [" + "[" * 5000, "not valid"),
        ("divide = 80.0", "divide = 0.0", "scale_to"),
        ("divide = 80.0", "", "scale_to"),
        ("subtract = 50.0\ndivide = 80.0", "scale_to = [0.5, 0.5]", "expected two different values, got 0.5 twice"),
        ("divide = 80.0", "divide = 80.0\nscale_to = [0.0, 1.0]", "scale_to"),
        ("subtract", "substract", "substract"),
        ('name = "two-kidneys"', "", "name"),
        ("spacing", "spacing spacing", "line"),
    ],
)
def test_a_task_file_that_is_wrong_is_refused_in_one_line(tmp_path, old, new, word):
    (tmp_path / "task.toml").write_text(USER_TASK.replace(old, new, 1))
    with pytest.raises(InputError, match=word) as caught:
        load_task(tmp_path / "task.toml")
    assert re.match(r'task file "task\.toml" is not valid: ', str(caught.value))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "task.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid"):
        load_task(tmp_path / "task.toml")


def test_percentiles_go_with_scale_to_and_lie_in_0_to_100():
    with pytest.raises(ValueError, match="percentile"):
        Intensity(clip=(1, 99), clip_percentiles=True, subtract=0, divide=1)
    with pytest.raises(ValueError, match="percentiles"):
        Intensity(clip=(-1, 99), clip_percentiles=True, scale_to=(0, 1))


def test_standardising_by_the_scan_clips_nothing():
    intensity = Intensity(clip=(0, 100), clip_percentiles=True, standardise=True)
    assert intensity.normalised_range == (-3, 3)
    for other in ({"clip": (1, 99)}, {"clip_percentiles": False}, {"scale_to": (0, 1)}, {"subtract": 0, "divide": 1}):
        with pytest.raises(ValueError, match=r"standardise goes with clip \(0, 100\) in percentiles and nothing else"):
            Intensity(**{"clip": (0, 100), "clip_percentiles": True, "standardise": True, **other})


def test_padding_takes_the_place_of_air():
    assert Intensity(clip=(-100, 300), scale_to=(-1, 1)).air == -1
    assert Intensity(clip=(-100, 300), scale_to=(-1, 1), padding=0.0).air == 0
    with pytest.raises(ValueError, match="padding"):
        Intensity(clip=(-100, 300), scale_to=(-1, 1), padding=float("nan"))


def test_a_changed_copy_is_checked_too():
    task = PRESETS["btcv"].replaced(spacing=(3.0, 3.0, 3.0))
    assert task.spacing == (3, 3, 3)
    assert PRESETS["btcv"].spacing == (1, 1, 1.5)
    with pytest.raises(UsageError, match="spacing"):
        PRESETS["btcv"].replaced(spacing=(0.0, 1.0, 1.0))


def test_the_presets_file_is_where_the_numbers_live():
    assert Path(load_task.__code__.co_filename).with_name("task_presets.py").is_file()


@pytest.mark.parametrize(("name", "air"), [("btcv", 0.0), ("ct-org", -1.0), ("amos-ct", -7.383)])
def test_air_is_the_low_end_of_the_range_as_the_network_sees_it(name, air):
    assert PRESETS[name].intensity.air == pytest.approx(air, abs=1e-3)
