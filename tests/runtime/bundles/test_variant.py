import pytest
from bedside.runtime.bundles.variant import Variant


def test_a_variant_gives_its_name_mean_dice_and_verdict():
    variant = Variant(precision="int8", engine="openvino", file="model.xml", dice={"fat": 0.5, "bone": 1.0})
    assert (variant.name, variant.mean_dice, variant.verdict) == ("openvino int8", 0.75, "–")
    failed = Variant(precision="int8", engine="openvino", file="model.xml", passed=False)
    assert (failed.mean_dice, failed.verdict) == (None, "failed")


@pytest.mark.parametrize(
    ("milliseconds", "device", "shown"),
    [
        (77.105, "CPU", "77.1"),
        (77.105, "", "77.1"),  # of an earlier version
        (1.9, "CUDA:0, Some GPU, driver 1", "1.9 (CUDA:0, Some GPU, driver 1)"),
        (None, "", "–"),
    ],
)
def test_the_time_of_a_window_names_another_device_than_the_cpu(milliseconds, device, shown):
    variant = Variant(
        precision="fp16", engine="tensorrt", file="model.onnx", ms_per_window=milliseconds, timed_device=device
    )
    assert variant.window_time == shown
