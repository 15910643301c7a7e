"""Children get time to clean up, but no more than that."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from bedside.processes import child
from bedside.processes.child import end, how_it_ended, python_command

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def start(code, stdin=None):
    """Starts a child, and waits for its first line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=stdin, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_child_is_terminated_and_may_clean_up():
    handler = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
    with start(handler + "print(flush=True); time.sleep(60)") as process:
        end([process])
        assert process.returncode == 7


def test_a_stopped_child_ends_at_once():
    with start("import time; print(flush=True); time.sleep(60)") as process:
        process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        end([process])
        assert time.monotonic() - begun < 10
        assert process.returncode == -15


def test_a_child_that_misses_the_signal_ends_with_its_standard_input():
    reading = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
    with start(f"{reading}; sys.exit(7)", subprocess.PIPE) as process:
        end([process], close_stdin=True)
        assert process.returncode == 7


def test_a_child_that_does_not_read_what_was_written_is_ended(monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 0.1)
    with start(DEAF, subprocess.PIPE) as process:
        os.set_blocking(process.stdin.fileno(), False)
        with pytest.raises(BlockingIOError):  # as an interrupted write leaves it: the pipe and the buffer are full
            process.stdin.write(bytes(10_000_000))
        os.set_blocking(process.stdin.fileno(), True)
        end([process], close_stdin=True)
        assert process.returncode == -9


def test_a_statement_runs_with_this_import_path_and_the_arguments_alone(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/no/such place", None, "a\0b"])
    command = python_command("import json; print(json.dumps([sys.path, sys.argv[1:]]))", ["--cases", "2"])
    path, arguments = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert path == [place for place in sys.path if place is not None and "\0" not in place]
    assert arguments == ["--cases", "2"]


def test_a_stray_module_in_the_current_folder_is_not_imported(tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('stray')")
    subprocess.run(python_command("import numpy; numpy.zeros(1)"), cwd=tmp_path, check=True)


def test_an_isolated_interpreter_starts_isolated_children(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('from the environment')")
    code = f"import sys; sys.path[:] = {sys.path!r}; import subprocess; from bedside.processes.child import "
    code += "python_command; subprocess.run(python_command('print(sys.flags.isolated)'), check=True)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-I", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_children_that_do_not_end_in_time_are_killed_after_one_grace_time(monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 2.0)
    with ExitStack() as stack:
        children = [stack.enter_context(start(DEAF)) for _ in range(5)]
        begun = time.monotonic()
        end(children)
        assert 2.0 <= time.monotonic() - begun < 10.0  # not one after the other
        assert [each.returncode for each in children] == [-9] * 5


def test_a_second_interrupt_kills_at_once():
    class Interrupted(BaseException):
        pass

    def interrupt(signum, frame):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with start(DEAF) as process:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                end([process])
            assert process.returncode == -9
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (0, "ended with exit code 0"),
        (143, "was terminated"),
        (-15, "was terminated"),
        (-9, "was killed by signal 9 (out of memory?); free memory"),
        (-11, "was killed by signal 11 (Segmentation fault)"),
    ],
)
def test_the_end_of_a_child_is_described(code, message):
    assert how_it_ended(code, "free memory") == message
