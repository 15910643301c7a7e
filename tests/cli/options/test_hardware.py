"""Options of the hardware become a `Hardware`; unknown names are refused before any data is read."""

import pytest
from bedside.cli.options.hardware import HardwareOptions
from bedside.training.loop.hardware import Hardware


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "magic"], '--strategy: expected auto, ddp or fsdp, got "magic"'),
        (["--precision", "bf16-true"], '--precision: expected 32-true, bf16-mixed or auto, got "bf16-true"'),
        (["--device", "gpu"], '--device: expected auto, cpu or cuda, got "gpu"'),
        (["--device", "gpu", "--dry-run"], '--device: expected auto, cpu or cuda, got "gpu"'),
    ],
)
def test_values_that_cannot_be_are_refused_in_one_line(asked, capsys, options, message):
    assert asked(*options)[0] == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_options_become_the_hardware_of_a_training():
    options = HardwareOptions(device="cuda", devices=2, nodes=3, strategy="fsdp", workers=5)
    assert options.hardware() == Hardware("cuda", 2, 3, "fsdp", 5)
    assert HardwareOptions().hardware() == Hardware()


@pytest.mark.parametrize(
    ("option", "value", "name"), [("--device", "CPU", "device"), ("--strategy", "Auto", "strategy")]
)
def test_names_are_given_in_upper_or_lower_case(asked, option, value, name):
    code, given = asked(option, value)
    assert (code, getattr(given["hardware"], name)) == (0, value.lower())


def test_a_recipe_has_the_precision_in_its_own_spelling(asked):
    assert asked("--precision", "BF16-mixed")[1]["recipe"].precision == "bf16-mixed"
