"""Registries: the named rows of one kind, such as engines or students, of this package and of installed plug-ins."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from . import arguments
from .errors import UsageError
from .shown_value import with_article

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Row = TypeVar("Row")
_log = logging.getLogger("bedside.registry")


class Registry(Mapping[str, Row], Generic[Row]):
    """A table of rows by name; other packages add rows by entry points.

    An installed package adds a row by an entry point of the registry's group, whose value is the row; it is imported
    when it is looked up, not before. Rows of this package cannot be replaced.

    Example:
        >>> shapes = Registry("shape", int, {"cube": 6}, group="example.shapes")
        >>> shapes.find("cube")
        6

    Args:
        kind: what a row is, for error messages, such as "engine".
        row_type: type of every row; checked where another package brings it.
        rows: this package's rows, the preferred one first.
        group: name of the entry points' group, such as ``"bedside.students"``.
    """

    def __init__(self, kind: str, row_type: type[Row], rows: Mapping[str, Row], *, group: str) -> None:
        self._kind, self._row_type, self._rows, self._group = kind, row_type, dict(rows), group
        self._entries: dict[str, EntryPoint] | None = None

    @property
    def own(self) -> tuple[str, ...]:
        """Names of this package's rows; unlike iterating, it does not search the installed packages."""
        return tuple(self._rows)

    def find(self, name: object) -> Row:
        """Returns a row.

        Raises:
            UsageError: no row has this name, or the package that brings it cannot be imported.
        """
        if isinstance(name, str) and name in self._rows:  # without a look at the installed packages
            return self._rows[name]
        return self[arguments.known(self._kind, name, self)]

    def working(self) -> Iterator[tuple[str, Row]]:
        """Yields name and row of each, this package's first; logs and leaves out a plug-in that is broken."""
        for name in self:
            try:
                row = self[name]
            except UsageError as error:
                _log.warning("%s", error)
                continue
            yield name, row

    def __getitem__(self, name: str) -> Row:
        if name in self._rows:
            return self._rows[name]
        return self._load(self._brought()[name])

    def __iter__(self) -> Iterator[str]:
        yield from self._rows
        yield from (name for name in self._brought() if name not in self._rows)

    def __len__(self) -> int:
        return len({*self._rows, *self._brought()})

    def __contains__(self, name: object) -> bool:  # Mapping's own would import the row
        return name in self._rows or name in self._brought()

    def _brought(self) -> dict[str, EntryPoint]:
        if self._entries is None:
            from importlib.metadata import entry_points  # slow to import; most calls need own rows alone

            self._entries = {entry.name: entry for entry in entry_points(group=self._group)}
        return self._entries

    def _load(self, entry: EntryPoint) -> Row:
        package = entry.dist.name if entry.dist else entry.value
        whose = f'{self._kind} "{entry.name}" of the package {package}'
        try:
            row = entry.load()
        except (Exception, SystemExit) as error:  # a plug-in may fail in any way
            raise UsageError(f"{whose} cannot be imported: {type(error).__name__}: {error}") from error
        if not isinstance(row, self._row_type):
            raise UsageError(
                f"{whose}: expected {with_article(self._row_type.__name__)}, got {with_article(type(row).__name__)}"
            )
        return row
