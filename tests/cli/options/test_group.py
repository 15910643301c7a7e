"""A group that is a command too: which words call which command, and what its help text shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from bedside.cli import main
from bedside.cli.options.command import LazyCommand, typer_function
from bedside.cli.options.group import DefaultGroup


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Draw what is given."""

    shapes: Annotated[list[str], typer.Argument(help="Shapes.")]
    pen: Annotated[str, typer.Option("--pen", help="Pen.")] = "red"
    loud: Annotated[bool, typer.Option("--loud", help="Say it loud.")] = False

    def __call__(self) -> None:
        print("draw", *self.shapes)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Look at the drawing."""

    loud: Annotated[bool, typer.Option("--loud", help="Say it loud.")] = False

    def __call__(self) -> None:
        print("look", self.loud)


@dataclass(frozen=True, kw_only=True)
class Wipe:
    """Wipe it out."""

    what: Annotated[str, typer.Argument(help="What.")] = "all"
    loud: Annotated[bool, typer.Option("--loud", help="Say it loud.")] = False

    def __call__(self) -> None:
        print("wipe", self.what, self.loud)


@pytest.fixture
def call(monkeypatch, capsys):
    """Returns a function that calls a group with a default command and `wipe`, and returns code, stdout and stderr."""
    targets = {"draw": Draw, "look": Look, "wipe": Wipe}

    def load(self, arguments=()):
        app = typer.Typer()
        app.command()(typer_function(targets[self.name]))
        return typer.main.get_command(app)

    monkeypatch.setattr(LazyCommand, "load", load)

    def called(default, *words):
        group = DefaultGroup(default, "", "Work on a drawing.", [LazyCommand("wipe", "", "Wipe it out.")])
        monkeypatch.setattr(main, "COMMANDS", (group,))
        return main.run([default, *words]), *capsys.readouterr()

    return called


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["draw", "cube"], "draw cube"),
        (["draw", "cube", "wipe"], "draw cube wipe"),  # an argument of that name
        (["draw", "./wipe"], "draw ./wipe"),
        (["draw", "wipe", "cube"], "wipe cube False"),
        (["draw", "--pen", "wipe", "cube"], "draw cube"),  # an option's value of that name
        (["draw", "--loud", "wipe", "cube"], "wipe cube True"),
        (["draw", "--", "wipe"], "draw wipe"),
        (["look"], "look False"),
        (["look", "--loud"], "look True"),
        (["look", "wipe"], "wipe all False"),
        (["look", "--loud", "wipe", "cube"], "wipe cube True"),
    ],
)
def test_the_default_command_is_called_unless_the_words_name_another(call, words, said):
    assert call(*words) == (0, f"{said}\n", "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["look", "wpe"], "No such command 'wpe'"),
        (["look", "--lod"], "--lod"),
        (["draw"], "Missing argument"),
        (["draw", "wipe", "cube", "ball"], "ball"),
    ],
)
def test_a_word_that_names_no_command_is_refused(call, words, reason):
    code, _, error = call(*words)
    assert code == 2
    assert reason in error


def test_its_help_text_has_the_options_of_the_default_command_and_the_other_commands(call):
    text = call("look", "--help")[1]
    assert "| COMMAND" in text
    assert text.index("Look at the drawing.") < text.index("Say it loud.") < text.index("Wipe it out.")
    assert "Say it loud." in call("look", "wipe", "--help")[1]
