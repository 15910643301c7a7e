"""Processes that a trial kills with SIGKILL at random moments and starts again."""

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread


class Restless:
    """A process that is killed again and again, after so much more was done, and started again until the trial ends.

    Args:
        words: its command, after the Python interpreter.
        log: file that its output is appended to.
        rng: when it is killed.
        is_ready: says whether it has started.
        progress: says how much is done by now; the next kill comes after 0 to 15 more, so that something gets done.
        most: how often it is killed.
    """

    def __init__(self, words, log, rng, is_ready, progress, most):
        self._most = most
        self._words, self._log, self._rng = [sys.executable, *map(str, words)], Path(log), rng
        self._is_ready, self._progress = is_ready, progress
        self._ended = Event()
        self._thread = Thread(target=self._kill_again_and_again, daemon=True)
        self.kills = 0
        self.process = self._start()

    def _start(self):
        with self._log.open("ab") as out:
            return subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def _kill_again_and_again(self):
        while self.kills < self._most:
            target = self._progress() + int(self._rng.integers(16))
            self._wait_until(lambda: self._is_ready())
            self._wait_until(lambda target=target: self._progress() >= target)
            if self._ended.wait(float(self._rng.uniform(0, 2))):
                return
            self.process.kill()
            self.process.wait()
            self.kills += 1
            self.process = self._start()

    def _wait_until(self, reached):
        while not reached() and not self._ended.wait(0.05):
            pass

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


def wait_while_it_moves(progress, whole, seconds):
    """Waits until the progress is the whole, or there was none for some seconds."""
    last, until = -1, 0.0
    while (now := progress()) < whole:
        if now != last:
            last, until = now, time.monotonic() + seconds
        if time.monotonic() > until:
            return
        time.sleep(0.2)
