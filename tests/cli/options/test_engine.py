"""Engine, precision and device become the spelling of the tables before a command compares or records them.

Several names are given with commas, or by repeating the option.
"""

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


@dataclass(frozen=True, kw_only=True)
class RunAll:
    """Run networks."""

    engine: Annotated[list[str] | None, engine_option(help="Engines.")] = None
    precision: Annotated[list[str] | None, precision_option(help="Precisions.")] = None

    def __call__(self) -> None:
        print(self.engine, self.precision)


def said(command: type[Run] | type[RunAll], words: list[str]) -> str:
    app = typer.Typer()
    app.command()(typer_function(command))
    return CliRunner().invoke(app, words).output


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
    assert said(Run, words) == f"{names}\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "None None"),
        (["--precision", "fp32,INT8"], "None ['fp32', 'int8']"),
        (["--precision", "fp32", "--precision", "int8"], "None ['fp32', 'int8']"),
        (["--precision", "fp32, int8", "--precision", "uint8"], "None ['fp32', 'int8', 'uint8']"),
        (["--engine", "OpenVINO,onnxruntime"], "['openvino', 'onnxruntime'] None"),
    ],
)
def test_several_names_are_given_with_commas_or_one_by_one(words, names):
    assert said(RunAll, words) == f"{names}\n"
