"""What is particular to OpenVINO: bfloat16, compiled networks, its one core, and no telemetry."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from bedside.runtime import open_engine
from bedside.runtime.engines import PRECISIONS, open_vino, supports
from bedside.runtime.engines.open_vino import import_openvino

from .convolution import PATCH, convolved, run_python, without_bf16


def test_openvino_has_bfloat16_where_the_cpu_has(monkeypatch):
    monkeypatch.setattr(import_openvino().Core, "get_property", lambda self, device, name: ["FP32", "INT8", "BF16"])
    assert [each for each in PRECISIONS if supports("openvino", each)] == ["fp32", "bf16", "int8", "int8-bf16"]
    without_bf16(monkeypatch)
    assert [each for each in PRECISIONS if supports("openvino", each)] == ["fp32", "int8"]


@pytest.mark.parametrize("precision", ["bf16", "int8-bf16"])
def test_bf16_computes_in_bfloat16(model, precision):
    if not supports("openvino", precision):
        pytest.skip("this CPU has no bfloat16")
    patch = np.random.default_rng(8).random((1, 1, *PATCH), np.float32)
    logits = open_engine("openvino", model, threads=1, precision=precision).infer(patch)[0]
    off = np.abs(logits - convolved(patch[0, 0])).max()
    assert 1e-4 < off < 0.1  # 8 bits of mantissa: about 2⁻⁸ of logits up to 5


@pytest.mark.parametrize("compiled", [b"", b"not compiled by OpenVINO"])
def test_a_cached_model_that_openvino_rejects_is_compiled_again_and_logged(model, caplog, compiled):
    with caplog.at_level("INFO", "bedside"):
        engine = open_engine("openvino", model, threads=1, compiled=compiled)
    assert "cached model rejected, recompiling" in caplog.text
    assert engine.patch_dhw == PATCH


def test_openvino_sends_no_telemetry(model_file, tmp_path):
    code = (
        "import sys; from pathlib import Path; from bedside.runtime import open_engine;"
        f"open_engine('openvino', Path({str(model_file)!r}), threads=1);"
        "print([name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    )
    assert run_python(code, tmp_path) == "[]"
    assert list(tmp_path.iterdir()) == []  # its client id would lie in ~/intel


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
