"""ONNX models that name other files are refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from bedside.runtime import BundleError
from bedside.runtime.engines.onnx_guard import check_no_external_data


def test_external_data_inside_a_subgraph_attribute_is_found():
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "t")
    onnx.external_data_helper.set_external_data(tensor, "x.bin")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    inner = onnx.helper.make_graph([constant], "inner", [], [])
    outer = onnx.helper.make_graph([onnx.helper.make_node("If", ["b"], ["c"], then_branch=inner)], "outer", [], [])
    with pytest.raises(BundleError, match="keeps weights in another file"):
        check_no_external_data(onnx.helper.make_model(outer).SerializeToString())


def test_an_honest_model_passes_the_guard(model):
    check_no_external_data(model)
