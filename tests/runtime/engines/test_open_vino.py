"""What is particular to OpenVINO: bfloat16, devices, compiled networks, its one core, and no telemetry."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from bedside.runtime import Segmenter, UsageError, open_engine
from bedside.runtime.engines import PRECISIONS, inference_devices, open_vino, supports
from bedside.runtime.engines.open_vino import import_openvino

from ...fresh_process import run_at_home
from .convolution import PATCH, convolved, without_bf16


def test_openvino_has_bfloat16_where_the_cpu_has(monkeypatch):
    monkeypatch.setattr(import_openvino().Core, "get_property", lambda self, device, name: ["FP32", "INT8", "BF16"])
    assert [each for each in PRECISIONS if supports("openvino", each)] == ["fp32", "bf16", "int8", "int8-bf16"]
    without_bf16(monkeypatch)
    assert [each for each in PRECISIONS if supports("openvino", each)] == ["fp32", "int8"]


# What OpenVINO reports: of an AMD processor, and of a Core Ultra's graphics and NPU as users posted it
# (github.com/SearchSavior/OpenArc/issues/43 and /50).
MINI_PC = {
    "CPU": ("AMD EPYC", ["FP32", "INT8", "BIN", "EXPORT_IMPORT"]),
    "GPU": ("Intel(R) Arc(TM) Graphics (iGPU)", ["FP32", "BIN", "FP16", "INT8", "GPU_USM_MEMORY", "EXPORT_IMPORT"]),
    "NPU": ("Intel(R) AI Boost", ["FP16", "INT8", "EXPORT_IMPORT"]),
}


@pytest.fixture
def mini_pc(monkeypatch):
    """A mini-PC's core, whose devices all compile for this CPU; returns what they were asked to compile with."""
    real, asked = open_vino.openvino_core(), []

    def compiled(network, device, hints):
        asked.append((device, hints))
        return real.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    facts = {"FULL_DEVICE_NAME": 0, "OPTIMIZATION_CAPABILITIES": 1}
    drivers = {"NPU": {"NPU_DRIVER_VERSION": 1688}}

    def property_of(device, name):
        own = drivers.get(device, {})
        return {**own, "SUPPORTED_PROPERTIES": [*facts, *own]}.get(name) or MINI_PC[device][facts[name]]

    core = SimpleNamespace(
        available_devices=["NPU", "GPU", "CPU"],
        get_property=property_of,
        read_model=real.read_model,
        compile_model=compiled,
    )
    monkeypatch.setattr(open_vino, "openvino_core", lambda: core)
    return asked


@pytest.mark.usefixtures("mini_pc")
def test_graphics_and_npu_are_devices_with_the_precisions_that_openvino_names():
    found = {device.name: device for device in inference_devices("openvino")}
    assert next(iter(found)) == "CPU"  # the default
    assert found["CPU"].precisions == ("fp32", "int8")
    assert found["GPU"].precisions == ("fp32", "fp16", "int8")
    assert found["NPU"].precisions == ("fp16", "int8")
    assert found["NPU"].title == "Intel(R) AI Boost"
    kernel = f"kernel {platform.release()}"
    assert [found[name].software for name in ("CPU", "GPU", "NPU")] == ["", kernel, f"driver 1688, {kernel}"]


@pytest.mark.parametrize(
    ("device", "precision", "arithmetic"),
    [
        ("GPU", "fp32", "f32"),
        ("GPU", "fp16", "f16"),
        ("GPU", "int8", "f32"),
        ("NPU", "fp16", "f16"),
        ("NPU", "int8", "f16"),
    ],
)
def test_a_device_computes_what_the_precision_says(mini_pc, model, device, precision, arithmetic):
    with open_engine("openvino", model, threads=2, precision=precision, device=device) as engine:
        assert engine.device == device
        engine.infer(np.zeros((1, 1, *PATCH), np.float32))
    assert mini_pc == [(device, {"INFERENCE_PRECISION_HINT": arithmetic, "PERFORMANCE_HINT": "LATENCY"})]


def test_fp16_goes_to_the_first_device_that_has_it(mini_pc, model):
    assert open_engine("openvino", model, threads=1, precision="fp16").device == "GPU"
    assert open_engine("openvino", model, threads=1).device == "CPU"


@pytest.mark.usefixtures("mini_pc")
def test_a_device_that_is_not_there_or_lacks_the_precision_is_refused(model):
    with pytest.raises(UsageError, match=r'device: expected CPU, GPU, NPU, got "GPU\.1"'):
        open_engine("openvino", model, threads=1, device="GPU.1")
    with pytest.raises(UsageError, match="openvino does not compute in fp32 on NPU"):
        open_engine("openvino", model, threads=1, device="NPU")


@pytest.mark.usefixtures("mini_pc")
def test_a_device_whose_driver_fails_is_left_out_and_stops_no_other(model, monkeypatch, caplog):
    core = open_vino.openvino_core()
    asked = core.get_property

    def failing(device, name):
        if device == "NPU":
            raise RuntimeError("Exception from src/inference\nCheck 'ok' failed\nno compiler")
        return asked(device, name)

    monkeypatch.setattr(core, "get_property", failing)
    assert [device.name for device in inference_devices("openvino")] == ["CPU", "GPU"]
    assert "OpenVINO's device NPU is left out, it cannot be asked: " in caplog.text
    assert open_engine("openvino", model, threads=1).device == "CPU"
    with pytest.raises(UsageError, match='device: expected CPU, GPU, got "NPU"'):
        open_engine("openvino", model, threads=1, device="NPU")


@pytest.mark.usefixtures("mini_pc")
def test_where_openvino_cannot_list_its_devices_the_cpu_is_used(monkeypatch, caplog):
    core = open_vino.openvino_core()

    class Failing(SimpleNamespace):
        @property
        def available_devices(self):
            raise RuntimeError("Failed to load the plugin of the NPU")

    monkeypatch.setattr(open_vino, "openvino_core", lambda: Failing(get_property=core.get_property))
    assert [device.name for device in inference_devices("openvino")] == ["CPU"]
    assert "OpenVINO cannot list its devices, so its CPU alone is used: Failed to load the plugin" in caplog.text


@pytest.mark.usefixtures("mini_pc")
def test_trials_measure_every_device(bundle_path):
    with Segmenter.load(bundle_path, "openvino", threads=1) as segmenter:
        tried = {str(trial.setting) for trial in segmenter.choice.trials}
    assert tried >= {"openvino fp32", "openvino fp32 on GPU"}
    with Segmenter.load(bundle_path, "openvino", threads=1, device="GPU") as segmenter:
        assert segmenter.engine.device == "GPU"


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
    assert run_at_home(code, tmp_path) == "[]"
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
