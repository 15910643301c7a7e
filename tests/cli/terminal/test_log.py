"""What people see of the library's log while a command runs."""

import logging

import pytest
from bedside.cli.terminal.console import Console
from bedside.cli.terminal.log import log_on

LOG = logging.getLogger("bedside.training")


def test_warnings_and_what_is_good_to_know_are_shown_while_the_block_runs(capsys):
    with log_on(Console()):
        LOG.warning("no %s cases", "validation")
        LOG.info("left and right are not mirrored")
        LOG.debug("a detail")
    LOG.warning("later")
    assert capsys.readouterr().err == ("bedside: warning: no validation cases\nleft and right are not mirrored\n")


def test_quiet_keeps_the_warnings(capsys):
    with log_on(Console(quiet=True)):
        LOG.warning("careful")
        LOG.info("good to know")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "bedside: warning: careful\n")


def test_the_log_is_as_before_when_the_block_fails():
    log = logging.getLogger("bedside")
    before = log.level, list(log.handlers)
    with pytest.raises(ValueError, match="broken"), log_on(Console()):
        raise ValueError("broken")
    assert (log.level, log.handlers) == before
