"""A group of commands that is a command itself, such as `bedside devices` beside `bedside devices list`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from .command import LazyCommand, first_argument


class DefaultGroup(TyperGroup):
    """A group whose default command is called where the words name none of the others.

    The first word that is no option, nor an option's value, may name a command: `bedside devices --json list`. Any
    other word there is an argument of a default command that has arguments, as in `bedside benchmark BUNDLE`.

    Args:
        name: name of the group.
        target: the default command, as for `LazyCommand`.
        summary: first sentence of its help text.
        commands: the other commands.
    """

    def __init__(self, name: str, target: str, summary: str, commands: Sequence[LazyCommand]) -> None:
        super().__init__(name=name, help=summary, commands={command.name or "": command for command in commands})
        self.default = _Default(name, target, summary, self)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parses the words of a call, in which a name may follow options; raises as `LazyCommand.make_context`."""
        place = self._place_of_name(args)
        if place is None:
            return self.default.make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, [args[place], *args[:place], *args[place + 1 :]], parent, **extra)

    def _place_of_name(self, words: Sequence[str]) -> int | None:
        """Returns which word names a command, or is there in place of a name; None calls the default command."""
        default = self.default.load(words)
        place = first_argument(default, words)
        if place is None or words[place] in self.commands:
            return place
        takes_arguments = any(parameter.param_type_name == "argument" for parameter in default.params)
        return None if takes_arguments or place > 0 else 0  # after options, the default command refuses it


class _Default(LazyCommand):
    """The default command of a group, whose help text lists the others too."""

    def __init__(self, name: str, target: str, summary: str, group: TyperGroup) -> None:
        super().__init__(name, target, summary)
        self._group = group

    def load(self, arguments: Sequence[str] = ()) -> TyperCommand:
        command = super().load(arguments)
        shown = TyperGroup(
            name=command.name,
            help=command.help,
            params=command.params,
            commands={**self._group.commands},
            subcommand_metavar="| COMMAND [ARGS]...",
        )
        command.format_help = shown.format_help
        return command
