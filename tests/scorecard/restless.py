"""Processes that a trial kills with SIGKILL at random moments and starts again."""

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread


class Restless:
    """A process that is killed every few seconds, and started again until the trial ends.

    Args:
        words: its command, after the Python interpreter.
        log: file that its output is appended to.
        rng: when it is killed.
        seconds: least and most seconds between two kills.
    """

    def __init__(self, words, log, rng, seconds):
        self._words, self._log, self._rng, self._seconds = [sys.executable, *map(str, words)], Path(log), rng, seconds
        self._ended = Event()
        self._thread = Thread(target=self._kill_again_and_again, daemon=True)
        self.kills = 0
        self.process = self._start()

    def _start(self):
        with self._log.open("ab") as out:
            return subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def _kill_again_and_again(self):
        while not self._ended.wait(float(self._rng.uniform(*self._seconds))):
            self.process.kill()
            self.process.wait()
            self.kills += 1
            self.process = self._start()

    @contextmanager
    def killed(self):
        """Kills it while the block runs; it runs on afterwards."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._thread.join()

    def end(self):
        """Ends it by SIGTERM; returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)


def wait_until(reached, seconds):
    """Waits until a condition holds; returns whether it does."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
