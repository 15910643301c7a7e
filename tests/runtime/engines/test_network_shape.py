import numpy as np
import pytest
from bedside.runtime import BundleError, ResourceError, UsageError
from bedside.runtime.engines.network_shape import NetworkShape, refusal

IMAGE, LOGITS = [None, 1, 4, 5, 6], [None, 3, 4, 5, 6]


def test_a_network_has_a_window_classes_and_perhaps_a_fixed_batch():
    assert NetworkShape.checked([IMAGE], [LOGITS]) == NetworkShape((4, 5, 6), 3, None)
    assert NetworkShape.checked([[1, *IMAGE[1:]]], [[1, *LOGITS[1:]]]).batch == 1


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([IMAGE, IMAGE], [LOGITS], "the model has 2 inputs and 1 outputs; expected one input"),
        ([IMAGE], [], "the model has 1 inputs and 0 outputs"),
        ([[None, 2, 4, 5, 6]], [LOGITS], r"the model maps \[None, 2, 4, 5, 6\]"),
        ([IMAGE], [[None, 3, 4, 5, 7]], "the model maps"),
        ([[None, 1, None, 5, 6]], [[None, 3, None, 5, 6]], "with a fixed window"),
        ([IMAGE], [[None, None, 4, 5, 6]], "the model maps"),
        ([IMAGE], [[None, 1, 4, 5, 6]], "the model maps"),  # background alone segments nothing
        ([IMAGE[1:]], [LOGITS[1:]], "the model maps"),
    ],
)
def test_another_shape_is_refused(inputs, outputs, message):
    with pytest.raises(BundleError, match=message):
        NetworkShape.checked(inputs, outputs)


def test_patches_come_back_contiguous():
    patches = np.zeros((2, 1, 6, 5, 4), np.float32).transpose(0, 1, 4, 3, 2)
    assert NetworkShape((4, 5, 6), 3, None).check_patches(patches).flags.c_contiguous


@pytest.mark.parametrize(
    "patches",
    [
        np.zeros((1, 1, 4, 5, 6)),
        np.zeros((0, 1, 4, 5, 6), np.float32),
        np.zeros((1, 2, 4, 5, 6), np.float32),
        np.zeros((4, 5, 6), np.float32),
    ],
    ids=["float64", "none", "two channels", "one volume"],
)
def test_other_patches_are_refused(patches):
    with pytest.raises(UsageError, match=r"expected float32 patches \[N, 1, 4×5×6\], got float"):
        NetworkShape((4, 5, 6), 3, None).check_patches(patches)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("bad allocation")])
def test_no_memory_is_not_the_bundles_fault(error):
    assert isinstance(refusal("OpenVINO", error), ResourceError)


def test_any_other_error_refuses_the_model_in_one_line():
    found = refusal("OpenVINO", RuntimeError("Exception from src/a.cpp:12:\nCheck 'x' failed\nno such operator\nat y"))
    assert isinstance(found, BundleError)
    assert str(found) == "OpenVINO refuses the model: no such operator"
