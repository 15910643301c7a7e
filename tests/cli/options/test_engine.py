"""Engine, precision and device become the spelling of the tables before a command compares or records them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.options.engine import device_option, engine_option, precision_option
from typer.testing import CliRunner


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run a network."""

    engine: Annotated[str, engine_option(help="Engine.")] = "auto"
    precision: Annotated[str, precision_option(help="Precision.")] = "auto"
    device: Annotated[str, device_option(help="Device.")] = "auto"

    def __call__(self) -> None:
        print(self.engine, self.precision, self.device)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "auto auto auto"),
        (["--engine", "AUTO", "--precision", "Auto", "--device", "auto"], "auto auto auto"),
        (["--engine", "OpenVINO", "--precision", "INT8-bf16", "--device", "cpu"], "openvino int8-bf16 CPU"),
        (["--engine", "Caffe", "--precision", "fp8", "--device", "fpga"], "Caffe fp8 fpga"),  # refused where used
    ],
)
def test_names_come_out_as_the_tables_spell_them(words, names):
    app = typer.Typer()
    app.command()(typer_function(Run))
    assert CliRunner().invoke(app, words).output == f"{names}\n"
