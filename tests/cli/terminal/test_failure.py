"""Every error becomes one line and an exit code."""

from __future__ import annotations

import pickle

import pytest
from bedside.cli.terminal.failure import Failure, failure_of
from bedside.runtime import BundleError, InputError


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("expected this,\n  got that"), 3, "expected this, got that"),
        (BundleError("no"), 4, "no"),
        (MemoryError(), 5, "out of memory; give the job more memory or a smaller input"),
        (OSError(28, "No space left on device"), 5, "the system refused: No space left on device"),
        (
            PermissionError(13, "Denied", "/a/b.nii"),
            5,
            '"b.nii": the system refused it (Denied); check path',
        ),
        (OutOfMemoryError("CUDA"), 5, "out of memory; give the job more, or use a smaller patch or a coarser spacing"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 5, "out of memory; give the job more, or use"),
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"),
            5,
            "the shared memory (/dev/shm) is too small; give the container more of it (docker run --shm-size=2g), or",
        ),
        (
            RuntimeError("NCCL error: Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)"),
            5,
            "the shared memory (/dev/shm) is too small",
        ),
        (RuntimeError("can't start new thread"), 5, "the system allows no more threads here; use fewer --workers"),
        (
            RuntimeError("\x1b[1mdo\x1b[0m this,\n  or \x1b[2Jthat"),
            1,
            r"a fault in bedside (RuntimeError: do this, or \x1b[2Jthat)",
        ),
        (ValueError("a\nslip"), 1, "a fault in bedside (ValueError: a slip); --debug before the command shows where"),
    ],
)
def test_an_error_becomes_one_line_and_a_code(error, code, words):
    failure = failure_of(error)
    assert failure.code == code
    assert failure.message.startswith(words)
    assert failure.message.isprintable()


def test_a_failure_travels_between_processes():
    failure = failure_of(InputError("no scan"))
    assert pickle.loads(pickle.dumps(failure)) == Failure("no scan", failure.code)
