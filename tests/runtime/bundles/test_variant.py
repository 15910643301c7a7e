from bedside.runtime.bundles.variant import Variant


def test_a_variant_gives_its_name_mean_dice_and_verdict():
    variant = Variant(precision="int8", engine="openvino", file="model.xml", dice={"fat": 0.5, "bone": 1.0})
    assert (variant.name, variant.mean_dice, variant.verdict) == ("openvino int8", 0.75, "–")
    failed = Variant(precision="int8", engine="openvino", file="model.xml", passed=False)
    assert (failed.mean_dice, failed.verdict) == (None, "failed")
