from bedside.cli.demo.report import curves_picture, gain_picture
from bedside.cli.demo.results import RunCurve

PNG = b"\x89PNG\r\n\x1a\n"


def test_curves_are_drawn_with_and_without_validation():
    curves = [RunCurve("a", (1, 2), (3.0, 2.0), ((2, 0.5),)), RunCurve("b", (1, 2), (3.0, 2.5), ())]
    assert curves_picture(curves).startswith(PNG)


def test_organs_that_gain_and_that_lose_are_drawn():
    dice = {
        "baseline": {"liver": 0.5, "aorta": 0.4},
        "fp32": {"liver": 0.7, "aorta": 0.3},
        "teacher": {"liver": 0.8, "aorta": 0.5},
    }
    assert gain_picture(dice).startswith(PNG)
    assert gain_picture(dice) != gain_picture({**dice, "fp32": dice["baseline"]})
