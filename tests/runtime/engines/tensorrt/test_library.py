"""TensorRT's logger, in which it says why a call returned nothing."""

from __future__ import annotations

import sys

import pytest
from bedside.runtime import ResourceError
from bedside.runtime.engines.tensorrt.library import import_tensorrt, logger

from ..fake_tensorrt import Severity


def test_the_first_error_is_the_reason_once(tensorrt):
    log = logger(tensorrt)
    for severity, message in (
        (Severity.WARNING, "slow"),
        (Severity.ERROR, "no kernel for\n node 7"),
        (Severity.INTERNAL_ERROR, "build failed"),
    ):
        log.log(severity, message)
    assert log.reason() == "no kernel for node 7"
    assert log.reason() == "it gave no reason"


def test_a_module_has_one_logger(tensorrt):
    assert logger(tensorrt) is logger(tensorrt)


def test_everything_is_in_the_debug_log(tensorrt, caplog):
    with caplog.at_level("DEBUG", "bedside"):
        logger(tensorrt).log(Severity.VERBOSE, "tactic 3")
    assert "TensorRT: tactic 3" in caplog.text


def test_a_tensorrt_that_cannot_be_imported_is_a_fault_of_the_machine(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ResourceError, match="tensorrt cannot be imported"):
        import_tensorrt()
