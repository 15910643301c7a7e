"""OpenVINO's plugin belongs to the thread that loads it; bedside makes one core and never lets it go."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from bedside.runtime.engines import open_vino


def test_threads_that_open_their_first_model_at_the_same_time_share_one_core(monkeypatch):
    """A second core, taken down in another thread than it was made in, ends the process at its next signal."""
    made = []

    def slowly():
        time.sleep(0.02)
        made.append(object())
        return made[-1]

    monkeypatch.setattr(open_vino, "import_openvino", lambda: SimpleNamespace(Core=slowly))
    open_vino._core.cache_clear()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len({id(core) for core in pool.map(lambda _: open_vino.openvino_core(), range(4))}) == 1
    finally:
        open_vino._core.cache_clear()
    assert len(made) == 1


def test_a_signal_after_a_model_was_closed_in_another_thread_does_not_end_the_process(tmp_path, toy):
    """OpenVINO's plugin, unloaded in another thread than it was loaded in, left the first a freed signal stack."""
    (tmp_path / "model.onnx").write_bytes(toy.nearest_mean_model((8, 8, 8)))
    code = """
import gc, os, signal, sys, threading
from pathlib import Path
from bedside.runtime import open_engine
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
engines = [open_engine("openvino", Path(sys.argv[1]), threads=1)]
def close():
    engines.pop().close()
    gc.collect()
closing = threading.Thread(target=close)
closing.start()
closing.join()
blocks = [bytearray(5000) for _ in range(20000)]  # what was freed is used by others
os.kill(os.getpid(), signal.SIGUSR1)
print(heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.onnx"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[1]\n"), done.stderr
