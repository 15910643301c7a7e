"""What is particular to ONNX Runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.networks import kernel_network
from bedside.runtime import BundleError, ResourceError, open_engine
from bedside.runtime.engines import PRECISIONS, inference_devices, supports
from bedside.runtime.memory.cgroup import Limits
from bedside.runtime.memory.resident import resident_bytes


def test_onnx_runtime_has_no_bfloat16_on_any_cpu():
    assert [each for each in PRECISIONS if supports("onnxruntime", each)] == [
        "fp32",
        "fp16",
        "int8",
        "uint8",
        "int8-fp16",
    ]


@pytest.fixture
def gpu_build(monkeypatch, driver):
    """ONNX Runtime's build for NVIDIA GPUs: what it lists, and the providers that sessions were asked for."""
    real, asked = onnxruntime.InferenceSession, []
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    )

    class Session:
        working = True

        def __init__(self, content, options, providers):
            asked.append(providers)
            self._session = real(content, options, providers=["CPUExecutionProvider"])
            first = providers[0][0] if isinstance(providers[0], tuple) else providers[0]
            self.get_providers = lambda: [first, "CPUExecutionProvider"] if self.working else ["CPUExecutionProvider"]

        def __getattr__(self, name):
            return getattr(self._session, name)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return SimpleNamespace(asked=asked, session=Session)


@pytest.mark.usefixtures("gpu_build")
def test_a_gpu_build_has_its_providers_as_devices():
    found = {device.name: device.precisions for device in inference_devices("onnxruntime")}
    assert found == {
        "CPU": ("fp32", "fp16", "int8", "uint8", "int8-fp16"),
        "CUDA": ("fp32", "fp16"),
        "TensorRT": ("fp32", "fp16", "int8", "int8-fp16"),
    }
    assert inference_devices("onnxruntime")[1].title == "Orin (nvgpu)"


@pytest.mark.usefixtures("gpu_build")
def test_a_gpu_build_without_gpu_has_the_cpu_alone(driver):
    driver.failing["cuDeviceGet"] = 100
    assert [device.name for device in inference_devices("onnxruntime")] == ["CPU"]


def test_cuda_computes_fp32_without_tf32(gpu_build, model):
    assert open_engine("onnxruntime", model, threads=1, device="CUDA").device == "CUDA"
    assert gpu_build.asked == [[("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]]


def test_a_provider_that_fails_is_not_replaced_by_the_cpu_unnoticed(gpu_build, model):
    gpu_build.session.working = False
    with pytest.raises(ResourceError, match="ONNX Runtime cannot use TensorRT on this machine"):
        open_engine("onnxruntime", model, threads=1, device="TensorRT")


def test_onnx_runtime_takes_no_format_that_the_guard_does_not_know(model, tmp_path, monkeypatch):
    """Its own is recognised by four bytes, and could be hidden in what the guard takes for an ONNX."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "model.ort").read_bytes()
    assert onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "image"
    monkeypatch.setattr("bedside.runtime.engines.onnx_runtime.check_no_external_data", lambda content: None)
    with pytest.raises(BundleError, match="ONNX Runtime refuses the model"):
        open_engine("onnxruntime", content, threads=1)


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux lists them")
@pytest.mark.parametrize(("threads", "streams"), [(8, 1), (8, 4), (4, 2), (3, 3)])
def test_all_streams_together_compute_in_as_many_threads_as_given(model_file, threads, streams):
    def running():
        return len(list(Path("/proc/self/task").iterdir()))

    before = running()
    with open_engine("onnxruntime", model_file, threads=threads, streams=streams):
        assert running() - before + streams == threads  # each stream brings the thread that calls


@pytest.mark.parametrize(("cpus", "never_spins"), [(None, False), (2.0, False), (1.5, True)])
def test_threads_stop_spinning_after_a_call_and_under_a_quota_below_them_within_one_too(
    model_file, monkeypatch, cpus, never_spins
):
    given = []
    session = onnxruntime.InferenceSession

    def recorded(content, options, **named):
        given.append(options)
        return session(content, options, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    monkeypatch.setattr("bedside.runtime.engines.onnx_runtime.read_limits", lambda: Limits(cpus=cpus))
    open_engine("onnxruntime", model_file, threads=2).close()
    (options,) = given
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    if never_spins:
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    else:
        with pytest.raises(RuntimeError):  # no such entry: ONNX Runtime's own choice
            options.get_session_config_entry("session.intra_op.allow_spinning")


def test_the_second_window_takes_no_more_memory_than_the_first():
    window = np.ones((1, 1, 64, 64, 64), np.float32)
    with open_engine(
        "onnxruntime", kernel_network(Kernel("conv", 16, 16, 64), 2), threads=1
    ) as engine:  # 17 MB a tensor
        engine.infer(window)
        after_one = resident_bytes()
        for _ in range(2):
            engine.infer(window)
        assert resident_bytes() < after_one + 5e6
