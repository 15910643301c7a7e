"""The options of a training's data: grid and patch of the task, and which cases validate."""

import json

import pytest
from bedside.cli.options.dataset import DataOptions
from bedside.runtime import InputError, UsageError, load_task


@pytest.fixture
def folder(tmp_path):
    """A list of ten cases in two folds; the files are empty, for only the list is read."""
    entries = []
    for number in range(10):
        for name in (f"image{number}.nii", f"label{number}.nii"):
            (tmp_path / name).touch()
        entries.append({"image": f"image{number}.nii", "label": f"label{number}.nii", "fold": number % 2})
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": ["background", "fat", "bone"], "training": entries}))
    return tmp_path


def test_without_options_the_task_is_the_presets():
    assert DataOptions().task("btcv") == load_task("btcv")


@pytest.mark.parametrize("change", [{"spacing": (2.0, 2.0, 3.0)}, {"patch": (64, 64, 32)}])
def test_an_option_changes_the_tasks_value_and_nothing_else(change):
    assert DataOptions(**change).task("btcv") == load_task("btcv").replaced(**change)


@pytest.mark.parametrize("change", [{"spacing": (0.0, 1.0, 1.0)}, {"patch": (64, 64, -1)}])
def test_a_grid_that_cannot_be_is_refused(change):
    with pytest.raises(UsageError, match=next(iter(change))):
        DataOptions(**change).task("btcv")


@pytest.mark.parametrize(
    ("options", "training", "validation"),
    [({}, 10, 0), ({"fold": 1}, 5, 5), ({"validation_fraction": 0.3}, 7, 3)],
)
def test_cases_are_split_where_an_option_asks_for_it(folder, options, training, validation):
    dataset = DataOptions(**options).dataset(folder, None)
    assert (len(dataset.training), len(dataset.validation)) == (training, validation)


def test_a_fold_and_a_share_cannot_both_choose_the_validation_cases(folder):
    with pytest.raises(UsageError, match="--fold and --validation-fraction both choose the validation cases"):
        DataOptions(fold=1, validation_fraction=0.3).dataset(folder, None)


def test_a_fold_that_the_list_lacks_is_refused(folder):
    message = r"fold 7; it has folds 0, 1: name another, or give --validation-fraction 0\.2 in place of --fold$"
    with pytest.raises(UsageError, match=message):
        DataOptions(fold=7).dataset(folder, None)


def test_a_data_set_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a JSON file or a folder, found none"):
        DataOptions().dataset(tmp_path / "nowhere", None)
