from __future__ import annotations

import os
import sys

import pytest
from bedside.devices.child import run_child, worker_command
from bedside.runtime.errors import BundleError, InputError, MissingExtraError, ResourceError, UsageError


def child(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def run(code: str) -> list[float]:
    shares: list[float] = []
    run_child({}, shares.append, child(code))
    return shares


def test_a_killed_child_is_reported_as_want_of_memory() -> None:
    with pytest.raises(ResourceError, match="was killed, most likely for want of memory"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_a_crash_inside_an_engine_names_the_signal() -> None:
    with pytest.raises(ResourceError, match="died of signal 11"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


def test_an_unexpected_failure_gives_the_last_line_of_its_traceback() -> None:
    with pytest.raises(ResourceError, match="exit code 1: ValueError: the reason"):
        run("raise ValueError('the reason')")


def test_a_child_that_leaves_without_an_answer_says_so() -> None:
    with pytest.raises(ResourceError, match="exit code 0: it said nothing"):
        run("pass")


def test_a_child_that_answers_nonsense_is_refused() -> None:
    with pytest.raises(ResourceError, match="an answer nobody understands"):
        run("print('Segmentation fault')")


@pytest.mark.parametrize("family", [InputError, BundleError, UsageError, ResourceError])
def test_a_refusal_keeps_its_family_and_its_words(family: type[Exception]) -> None:
    answer = f'{{"error": {{"kind": "{family.__name__}", "message": "the words"}}}}'
    with pytest.raises(family, match=r"^the words$"):
        run(f"print('{answer}')")


def test_a_missing_extra_keeps_its_exit_code() -> None:
    answer = f'{{"error": {{"kind": "{MissingExtraError.__name__}", "message": "pip install x"}}}}'
    with pytest.raises(UsageError, match="pip install x"):
        run(f"print('{answer}')")


def test_progress_arrives_before_the_end() -> None:
    shares: list[float] = []
    with pytest.raises(ResourceError):
        run_child({}, shares.append, child("print('{\"progress\": 0.25}'); print('{\"progress\": 1}')"))
    assert shares == [0.25, 1.0]


def test_an_error_of_the_callers_own_comes_out_as_it_is() -> None:
    """It is not an answer of the child's that nobody understands."""

    def failing(share: float) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_child({}, failing, child("print('{\"progress\": 1}')"))


def test_an_interrupted_measurement_leaves_no_process_behind() -> None:
    seen: list[int] = []

    def interrupt(share: float) -> None:
        seen.append(int(share))
        raise KeyboardInterrupt

    code = "import os, time; print('{\"progress\": %d}' % os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        run_child({}, interrupt, child(code))
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_the_child_imports_from_where_this_process_does_and_not_from_the_current_folder() -> None:
    command = worker_command()
    assert command[0] == sys.executable
    assert command[3:] == sys.path
