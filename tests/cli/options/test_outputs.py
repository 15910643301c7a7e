"""A file that a command writes once is not replaced without --force."""

import pytest
from bedside.cli.options.outputs import check_new
from bedside.runtime.errors import UsageError


def test_a_file_that_is_there_is_replaced_with_force_alone(tmp_path):
    check_new(tmp_path / "a.zip", ".zip", force=False)
    (tmp_path / "a.zip").touch()
    check_new(tmp_path / "a.zip", ".zip", force=True)
    with pytest.raises(UsageError, match=r'"a\.zip" exists; give --force to replace it'):
        check_new(tmp_path / "a.zip", ".zip", force=False)


def test_another_ending_is_refused_even_with_force(tmp_path):
    with pytest.raises(UsageError, match=r"expected a name ending in \.zip"):
        check_new(tmp_path / "scan.nii.gz", ".zip", force=True)
