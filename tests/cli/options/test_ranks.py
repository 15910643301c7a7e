from __future__ import annotations

import pytest
import typer
from bedside.cli.options.ranks import is_first_process, only_first_reports_usage
from bedside.runtime import InputError, UsageError


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("rank", "first"), [({}, True), ({"RANK": "0", "LOCAL_RANK": "0"}, True), ({"SLURM_PROCID": "2"}, False)]
)
def test_the_first_process_is_the_one_without_a_rank_above_zero(monkeypatch, rank, first):
    for name, value in rank.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() == first


def test_a_wrong_option_is_raised_in_the_first_process_alone(monkeypatch):
    with pytest.raises(UsageError), only_first_reports_usage():
        raise UsageError("no such student")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(typer.Exit) as silent, only_first_reports_usage():
        raise UsageError("no such student")
    assert silent.value.exit_code == 2


def test_other_errors_are_raised_in_every_process(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(InputError), only_first_reports_usage():
        raise InputError("this process alone cannot read the file")
