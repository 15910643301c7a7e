"""What of a bundle is measured; `test_benchmark.py` has the combinations."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
from bedside.devices.measurement.chosen_variants import OpenedBundle, choose_variants, open_bundles
from bedside.devices.measurement.report import MeasuredBundle
from bedside.runtime.engine_selection.trials import Setting
from bedside.runtime.task_presets import PRESETS

from ...runtime.engines.fake_driver import driver  # noqa: F401 - fixture
from ...runtime.engines.fake_tensorrt import tensorrt  # noqa: F401 - fixture

SETTINGS = (
    Setting("onnxruntime", "fp32"),
    Setting("onnxruntime", "fp32", device="CUDA"),
    Setting("onnxruntime", "fp32", device="TensorRT"),
    Setting("tensorrt", "fp32", device="GPU"),
)


@pytest.mark.usefixtures("tensorrt")
@pytest.mark.parametrize("name", ["NVIDIA RTX A2000", "Tesla T4", "Tesla V100-SXM2-16GB", "Quadro RTX 6000", "Orin"])
def test_the_energy_of_an_nvidia_gpu_is_measured_whatever_its_name(driver, monkeypatch, name):  # noqa: F811
    driver.name = name.encode()
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    task = PRESETS["btcv"]
    measured = MeasuredBundle("student", "0" * 64, task.name, task.patch, "unet-edge")
    bundle = OpenedBundle(Path("student.bedside"), task, 0.5, SETTINGS, measured)
    chosen = choose_variants([bundle], [None], [1], [None], trust=None)
    assert [variant.request.on_card for variant in chosen] == [False, True, True, True]


def test_engines_and_precisions_are_named_in_upper_or_lower_case(tiny_bundle: Path) -> None:
    (bundle,) = open_bundles(tiny_bundle, ["ONNXRuntime"], ["FP32"], trust=None)
    assert bundle.settings == (Setting("onnxruntime", "fp32"),)
