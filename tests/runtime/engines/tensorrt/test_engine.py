"""What is particular to TensorRT as an engine; `test_engines.py` has what all engines fulfil."""

from __future__ import annotations

import os

import numpy as np
import pytest
from bedside.runtime import ResourceError, Segmenter, UsageError, available_engines, open_engine
from bedside.runtime.engines import inference_devices

from ..convolution import BIAS, PATCH, WEIGHT, convolved

gpu = pytest.mark.gpu


@pytest.fixture(scope="session")
def real_gpu():
    """A GPU with TensorRT; the test is skipped where there is none."""
    if not inference_devices("tensorrt"):
        pytest.skip("no NVIDIA GPU with TensorRT on this machine")


def test_its_device_is_the_gpu_with_name_and_versions(tensorrt):
    (device,) = inference_devices("tensorrt")
    assert (device.name, device.precisions) == ("GPU", ("fp32", "fp16", "int8", "int8-fp16"))
    assert device.title == "Orin (nvgpu), compute capability 8.7"
    assert device.software.startswith("TensorRT 10.3.0, driver 12060")


def test_without_a_gpu_there_is_no_device_and_opening_says_so(tensorrt, driver, model):
    driver.failing["cuDeviceGet"] = 100
    assert inference_devices("tensorrt") == ()
    with pytest.raises(ResourceError, match="tensorrt finds no device on this machine that it runs on"):
        open_engine("tensorrt", model, threads=1)


def test_where_it_is_installed_it_is_preferred(tensorrt):
    assert available_engines()[0] == "tensorrt"


@pytest.mark.parametrize("precision", ["bf16", "int8-bf16"])
def test_it_has_no_bfloat16(tensorrt, model, precision):
    with pytest.raises(UsageError, match=f"tensorrt does not compute in {precision}"):
        open_engine("tensorrt", model, threads=1, precision=precision)


def test_only_fp32_forbids_tf32(tensorrt, model):
    for precision in ("fp32", "fp16", "int8", "int8-fp16"):
        open_engine("tensorrt", model, threads=1, precision=precision)
    assert [tf32 for _, tf32 in tensorrt.builds] == [False, True, True, True]


def test_what_others_compiled_is_refused(tensorrt, model):
    with pytest.raises(UsageError, match="TensorRT keeps its own plans"):
        open_engine("tensorrt", model, threads=1, compiled=b"plan")


def test_each_stream_has_its_own_buffers_and_closing_frees_them(tensorrt, driver, model):
    engine = open_engine("tensorrt", model, threads=3, streams=3)
    assert len(driver.streams) == 3
    engine.close()
    assert (driver.memory, driver.streams) == ({}, set())


def test_where_a_stream_does_not_fit_the_others_are_freed(tensorrt, driver, model, monkeypatch):
    from bedside.runtime.engines.tensorrt import execution

    whole, made = execution.CudaStream, []

    def second_fails(*sizes):
        made.append(sizes)
        driver.failing = {"cuMemAlloc_v2": 2} if len(made) == 2 else {}
        return whole(*sizes)

    monkeypatch.setattr(execution, "CudaStream", second_fails)
    with pytest.raises(ResourceError, match="out of memory"):
        open_engine("tensorrt", model, threads=2, streams=2)
    assert (driver.memory, driver.streams) == ({}, set())


def test_a_forked_process_frees_nothing_of_its_parents(tensorrt, driver, model, monkeypatch):
    engine = open_engine("tensorrt", model, threads=1)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    engine.close()
    assert len(driver.memory) == 4


def test_a_bundle_is_segmented_and_its_golden_patch_tested(tensorrt, bundle_path):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[4:15, 4:15, 4:15] = 0
    with Segmenter.load(bundle_path, "tensorrt", threads=1) as segmenter:
        assert str(segmenter.choice.setting) == "tensorrt fp32 on GPU"
        labels = segmenter.segment_array(hu, np.diag([3.0, 3.0, 3.0, 1.0])).labels
    assert np.array_equal(labels, np.searchsorted([-1000, 0], hu))


@gpu
@pytest.mark.usefixtures("real_gpu")
@pytest.mark.parametrize("streams", [1, 2])
def test_a_real_gpu_computes_the_convolution_in_fp32(model, streams):
    patches = np.random.default_rng(4).random((2, 1, *PATCH), np.float32)
    with open_engine("tensorrt", model, threads=2, streams=streams) as engine:
        logits = engine.infer(patches)
    for patch, result in zip(patches, logits, strict=True):
        np.testing.assert_allclose(result, convolved(patch[0]), atol=2e-5)


@gpu
@pytest.mark.usefixtures("real_gpu")
def test_a_real_gpu_opens_the_plan_it_kept(model, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    patches = np.random.default_rng(5).random((1, 1, *PATCH), np.float32)
    results = []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level("INFO", "bedside"), open_engine("tensorrt", model, threads=1) as engine:
            results.append(engine.infer(patches))
    assert "builds the model" not in caplog.text
    assert np.array_equal(*results)


@gpu
@pytest.mark.usefixtures("real_gpu")
def test_a_real_gpu_computes_fp16_less_precisely(toy):
    import onnx
    from bedside.export.onnx_graphs.half_precision import onnx_to_fp16

    half = onnx_to_fp16(onnx.load_from_string(toy.conv_model(WEIGHT, BIAS, PATCH))).SerializeToString()
    patch = np.random.default_rng(8).random((1, 1, *PATCH), np.float32)
    with open_engine("tensorrt", half, threads=1, precision="fp16") as engine:
        off = np.abs(engine.infer(patch)[0] - convolved(patch[0, 0])).max()
    assert 1e-5 < off < 0.02  # 11 bits of mantissa: about 2⁻¹¹ of logits up to 5


def test_two_threads_may_close_it_at_the_same_time(tensorrt, driver, model):
    class TakenMeanwhile(list):
        """Looks as it did before another thread took the last execution."""

        def __bool__(self):
            return True

    engine = open_engine("tensorrt", model, threads=2, streams=2)
    engine._executions = TakenMeanwhile(engine._executions)
    engine.close()
    assert (driver.memory, driver.streams) == ({}, set())
