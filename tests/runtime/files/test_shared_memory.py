"""Errors for lack of shared memory are recognised by the messages of torch and the system."""

import pytest
from bedside.runtime.files.shared_memory import is_shared_memory_error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to write to file </torch_12_0>: No space left on device; /dev/shm"),
        RuntimeError("DataLoader worker is killed by signal: Bus error. Perhaps it had too little shared memory"),
        OSError(28, "shm_open failed"),
    ],
)
def test_a_lack_of_shared_memory_is_recognised(error):
    assert is_shared_memory_error(error)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), OSError(28, "No space left"), ValueError("/dev/shm")])
def test_another_error_is_not(error):
    assert not is_shared_memory_error(error)


def test_a_path_in_shared_memory_is_no_reason():
    error = FileNotFoundError(2, "No such file or directory", "/dev/shm/shared memory study/scan.nii")
    assert not is_shared_memory_error(error)
