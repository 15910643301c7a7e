"""A folder of runs, given in place of a run, is answered with the name of one in it."""

import pytest
from bedside.training.runs.inner_runs import run_advice


@pytest.mark.parametrize(
    ("runs", "advice"),
    [
        ((), "give what was --output of distill"),
        (("teacher",), 'give the run in it, "runs/teacher"'),
        (("b", "a", "c"), 'give the run in it, "runs/a", or one of 2 more'),
    ],
)
def test_a_run_directly_inside_is_named(tmp_path, runs, advice):
    folder = tmp_path / "runs"
    (folder / "0-no-run").mkdir(parents=True)
    for name in runs:
        (folder / name).mkdir()
        (folder / name / "config.toml").touch()
    assert run_advice(folder, "distill") == advice


def test_what_is_no_folder_has_no_run(tmp_path):
    (tmp_path / "file").touch()
    assert run_advice(tmp_path / "file", "distill") == run_advice(tmp_path / "gone", "distill")
