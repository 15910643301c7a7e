"""Processes that find themselves started as torchrun starts them, forked from one that has loaded torch."""

import os
import signal
import socket
import subprocess
import sys
import time


def forked(work, environment):
    """Runs work in a child that ends with its return value or exit code; returns the child's number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ |= environment
        code = work()
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def forked_helper(work):
    """In place of the `Popen` with which Fabric starts a script again: the same, without loading torch again."""

    class ForkedProcess:
        def __init__(self, command, env, cwd):
            self.pid, self.returncode = forked(work, env), None

        def poll(self):
            if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
                self.returncode = os.waitstatus_to_exitcode(found[1])
            return self.returncode

        def wait(self, timeout):
            deadline = time.monotonic() + timeout
            while self.poll() is None:
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired("train", timeout)
                time.sleep(0.01)

        def kill(self):
            self.send_signal(signal.SIGKILL)

        def send_signal(self, number):
            if self.poll() is None:
                os.kill(self.pid, number)

    return ForkedProcess


def as_torchrun(rank, port):
    """The environment of one of two processes."""
    return {
        "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": str(rank),
        "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1",
    }  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
