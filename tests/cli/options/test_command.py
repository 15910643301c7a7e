from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from bedside.cli.options.command import arguments_of, typer_function
from typer.testing import CliRunner


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("--width", "-w", min=1, help="Width in mm.")] = 2
    unit: str = "mm"

    def text(self) -> str:
        return f"{self.width} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Draw a shape.

    A line of this docstring ends here,
    and its paragraph goes on.

    Example: draw cube
    """

    shape: Annotated[str, typer.Argument(help="What to draw.")]
    size: Size
    twice: Annotated[bool, typer.Option("--twice", help="Draw it twice.")] = False

    def __call__(self) -> None:
        print(self.shape, self.size.text(), self.twice)


@pytest.fixture
def draw():
    app = typer.Typer()
    app.command()(typer_function(Draw))
    return lambda *words: CliRunner().invoke(app, list(words))


def test_fields_become_options_and_a_group_stands_in_the_place_of_its_field(draw):
    assert draw("cube").output == "cube 2 mm False\n"
    assert draw("cube", "-w", "3", "--unit", "cm", "--twice").output == "cube 3 cm True\n"


def test_the_docstring_is_the_help_and_checks_of_typer_hold(draw):
    shown = draw("--help").output
    assert shown.index("Draw a shape.") < shown.index("--width") < shown.index("--unit") < shown.index("--twice")
    assert "Width in mm." in shown
    assert draw("cube", "--width", "0").exit_code == 2
    assert draw().exit_code == 2


def test_a_paragraph_of_the_docstring_is_a_line_of_the_help_text():
    text = "Draw a shape.\n\nA line of this docstring ends here, and its paragraph goes on.\n\nExample: draw cube"
    assert typer_function(Draw).__doc__ == text


def test_two_options_of_one_name_are_a_fault_of_ours():
    @dataclass(frozen=True, kw_only=True)
    class Twice:
        first: Size
        second: Size

        def __call__(self) -> None: ...

    with pytest.raises(TypeError, match="Twice: two options have the same name"):
        typer_function(Twice)


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Paint shapes."""

    shape: Annotated[str, typer.Argument(help="What to paint.")]
    colours: Annotated[list[str] | None, typer.Option("--colour", help="Its colours.")] = None
    at: Annotated[tuple[int, int], typer.Option("--at", "-a", help="Place.")] = (0, 0)
    size: Size
    twice: Annotated[bool, typer.Option("--twice", help="Paint it twice.")] = False
    frame: Annotated[bool | None, typer.Option("--frame/--no-frame", help="Paint a frame.")] = None


def test_the_arguments_of_a_command_are_those_that_are_not_its_defaults():
    command = Paint(shape="cube", colours=["red", "blue"], at=(3, -4), size=Size(width=5), twice=True)
    assert arguments_of(command) == [
        "cube", "--colour", "red", "--colour", "blue", "--at", "3", "-4", "--width", "5", "--twice",
    ]  # fmt: skip
    assert arguments_of(Paint(shape="ball", size=Size())) == ["ball"]


def test_the_arguments_of_a_command_build_it_again(draw):
    command = Draw(shape="cube", size=Size(width=7), twice=True)
    assert draw(*arguments_of(command)).output == "cube 7 mm True\n"


@pytest.mark.parametrize(("value", "words"), [(None, []), (True, ["--frame"]), (False, ["--no-frame"])])
def test_an_option_that_can_be_switched_off_has_a_name_for_either(value, words):
    assert arguments_of(Paint(shape="ball", size=Size(), frame=value)) == ["ball", *words]
