"""Names in upper or lower case: the table's own spelling comes out, and what the table lacks is refused as it came."""

import pytest
from bedside.runtime import UsageError
from bedside.runtime.spelling import canonical, known, one_of


@pytest.mark.parametrize(
    ("name", "found"),
    [("CPU", "CPU"), ("cpu", "CPU"), ("TENSORRT", "TensorRT"), ("NPU", "NPU"), ("cpu ", "cpu "), (None, None), (1, 1)],
)
def test_a_name_comes_out_as_the_table_spells_it(name, found):
    assert canonical(name, ["auto", "CPU", "TensorRT"]) == found


def test_of_two_names_that_differ_in_case_alone_the_exact_one_is_found():
    assert [canonical(name, ["toy", "Toy"]) for name in ("toy", "Toy", "TOY")] == ["toy", "Toy", "toy"]


def test_the_checks_return_the_canonical_spelling_and_refuse_what_came():
    assert one_of("precision", "INT8", ("fp32", "int8")) == "int8"
    assert known("engine", "OpenVINO", iter(("auto", "openvino"))) == "openvino"
    with pytest.raises(UsageError, match='precision: expected fp32, int8, got "INT4"'):
        one_of("precision", "INT4", ("fp32", "int8"))
    with pytest.raises(UsageError, match='no engine "Caffe"; expected one of: auto, openvino'):
        known("engine", "Caffe", ("auto", "openvino"))
