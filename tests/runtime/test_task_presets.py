"""Presets have the papers' numbers; a task's file is read or refused with its name."""

import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task_presets import PRESETS, load_task


def test_btcv_has_the_numbers_of_the_paper():
    task = PRESETS["btcv"]  # AutoSAM Adapter, appendix 7.2
    assert (task.spacing, task.intensity.clip, task.num_classes) == ((1.0, 1.0, 1.5), (-125.0, 275.0), 14)


def test_every_preset_is_loaded_by_its_name():
    assert [load_task(name) for name in PRESETS] == list(PRESETS.values())


def test_a_file_is_read(tmp_path, cube_task):
    (tmp_path / "cube.toml").write_text(cube_task)
    assert load_task(tmp_path / "cube.toml").labels == ("background", "cube")


def test_a_file_with_a_wrong_field_is_refused_by_its_name(tmp_path, cube_task):
    (tmp_path / "cube.toml").write_text(cube_task.replace("16, 16, 16", "16, 16"))
    with pytest.raises(InputError, match=r"cube\.toml.*patch"):
        load_task(tmp_path / "cube.toml")


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(UsageError, match="btcv"):
        load_task("btvc")
