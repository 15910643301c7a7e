from bedside.cli.demo.report import curves_picture
from bedside.cli.demo.results import RunCurve

PNG = b"\x89PNG\r\n\x1a\n"


def test_curves_are_drawn_with_and_without_validation():
    curves = [RunCurve("a", (1, 2), (3.0, 2.0), ((2, 0.5),)), RunCurve("b", (1, 2), (3.0, 2.5), ())]
    assert curves_picture(curves).startswith(PNG)
