"""A request says which engine is wanted; the machine that opens the engine checks it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from bedside.runtime import UsageError
from bedside.runtime.engine_selection.engine_request import EngineRequest


@pytest.mark.parametrize(
    ("engine", "precision", "device", "expected"),
    [
        ("auto", "auto", "auto", ("openvino", "int8", "GPU")),
        ("auto", "fp32", "CPU", ("openvino", "fp32", "CPU")),
        ("onnxruntime", "auto", "CPU", ("onnxruntime", "int8", "CPU")),
        ("onnxruntime", "fp32", "auto", ("onnxruntime", "fp32", "GPU")),
    ],
)
def test_names_take_the_place_of_auto_alone(engine, precision, device, expected):
    asked = EngineRequest(engine=engine, precision=precision, device=device, threads=3)
    settled = asked.with_auto_as("openvino", "int8", "GPU")
    assert (settled.engine, settled.precision, settled.device, settled.threads) == (*expected, 3)
    assert asked.with_auto_as() == asked


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("engine", "toy", 'no engine "toy"; expected one of: auto, '),
        ("precision", "fp8", "precision: expected auto, fp32, "),
        ("device", "", 'device: expected a text, got ""'),
        ("threads", 0, "threads: expected a whole number from 1 to 1024, got 0"),
        ("memory_limit", "4G", 'memory_limit: expected a whole number from 1 up, got "4G"'),
        ("self_test", 1, "self_test: expected True or False, got 1"),
    ],
)
def test_a_wrong_value_reaches_the_machine_that_opens_the_engine_and_is_refused_there(field, value, told):
    arrived = pickle.loads(pickle.dumps(EngineRequest(**{field: value})))  # its engines may be others than the sender's
    with pytest.raises(UsageError) as caught:
        arrived.checked()
    assert str(caught.value).startswith(told)


def test_numpys_numbers_become_pythons():
    checked = EngineRequest(threads=np.int64(2), memory_limit=np.uint64(2**40), self_test=np.bool_(False)).checked()
    assert [type(each) for each in (checked.threads, checked.memory_limit, checked.self_test)] == [int, int, bool]
    assert checked == EngineRequest(threads=2, memory_limit=2**40, self_test=False)
