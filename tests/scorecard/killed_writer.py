"""A process that writes again and again until it is killed: what the trials of kill −9 share."""

import os
import signal
import time


def kill_a_writer(write, seconds, *, after_the_first=True):
    """Forks a process that calls ``write(0)``, ``write(1)``, ``write(0)`` …, and kills it after some seconds.

    Args:
        write: writes the content of a number, 0 or 1.
        seconds: until the kill.
        after_the_first: count them from the end of the first write rather than from the fork.
    """
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        for number in range(10_000):
            write(number % 2)
            if number == 0:
                os.write(told, b"x")
        os._exit(0)
    os.close(told)
    if after_the_first:
        os.read(ready, 1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
