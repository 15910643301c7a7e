import logging
import sys
import warnings

import pytest
from bedside.export.quiet import quiet_libraries


def test_libraries_print_warn_and_log_nothing(capfd, caplog):
    with warnings.catch_warnings(record=True) as warned, quiet_libraries():
        print("a bar")
        warnings.warn("old call", FutureWarning, stacklevel=1)
        logging.getLogger("nncf").warning("calibrating")
    assert capfd.readouterr().out == ""
    assert (warned, caplog.text) == ([], "")


def test_errors_are_logged_and_raised(caplog):
    @quiet_libraries()
    def quantize():
        logging.getLogger("nncf").error("no layer")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        quantize()
    assert "no layer" in caplog.text


def test_afterwards_stdout_and_loggers_are_as_before(capfd):
    logger, stdout = logging.getLogger("onnxscript"), sys.stdout
    level = logger.level
    logger.setLevel(logging.DEBUG)
    with pytest.raises(KeyError), quiet_libraries():
        raise KeyError
    assert (logger.level, sys.stdout) == (logging.DEBUG, stdout)
    logger.setLevel(level)
