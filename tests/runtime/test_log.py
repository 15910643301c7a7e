import logging

import pytest
from bedside.runtime.log import log_failure, log_is_shown

MESSAGE = "jane_doe.nii.gz: no such file"


def failed():
    try:
        raise ValueError(MESSAGE)
    except ValueError as error:
        return error


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_without_debug_a_failure_leaves_nothing_in_the_log(caplog, level):
    with caplog.at_level(level, "bedside"):
        assert not log_is_shown()
        log_failure("a case failed", failed())
    assert caplog.text == ""


def test_with_debug_type_and_traceback_are_logged_and_the_message_is_not(caplog):
    with caplog.at_level(logging.DEBUG, "bedside"):
        assert log_is_shown()
        log_failure("a case failed", failed())
    assert "a case failed: ValueError\n" in caplog.text
    assert ", in failed" in caplog.text
    assert MESSAGE not in caplog.text
