"""A run directory: resolved configuration, metrics as CSV and TensorBoard, checkpoints."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...runtime.errors import InputError, UsageError
from ...runtime.files.atomic import atomic_write, make_folder
from ...runtime.files.leftovers import remove_leftovers
from ...runtime.files.system_files import is_file
from ...runtime.files.toml import read_toml
from .run_config import Distillation, Lengthening, ModelConfig, RunConfig, decisive_differences
from .sole_writer import LOCK

__all__ = ["Distillation", "ModelConfig", "Run", "RunConfig"]


class Run:
    """An open run directory.

    Attributes:
        path: the directory.
        config: its resolved configuration.
        planned: how many epochs it was to have until now; fewer than in ``config`` where it is to be made longer.
    """

    CONFIG = "config.toml"

    def __init__(self, path: Path, config: RunConfig, *, planned: int | None = None) -> None:
        self.path = path
        self.config = config
        self.planned = config.recipe.epochs if planned is None else planned

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.resolve().name

    @property
    def best(self) -> Path:
        """Weights with the best validation score; equal to the last ones where there is no score."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "last.safetensors"

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest."""
        return self.path / "previous.safetensors"

    @property
    def incoming(self) -> Path:
        """The checkpoint being put in the newest one's place."""
        return self.path / "next.safetensors"

    def checkpoints(self) -> list[Path]:
        """Returns the checkpoints that are there, newest first.

        A kill between the two renames that put a checkpoint in its place can leave the newest under another name.
        """
        return [path for path in (self.last, self.incoming, self.previous) if path.exists()]

    @property
    def metrics(self) -> Path:
        """The metrics, one CSV row per epoch."""
        return self.path / "metrics.csv"

    @property
    def pictures(self) -> Path:
        """Overlay pictures of a validation case."""
        return self.path / "pictures"

    @classmethod
    def create(cls, path: Path, config: RunConfig, *, resume: bool) -> Run:
        """Claims a directory for a run; its configuration is written by `start`, once the data are known to be good.

        Args:
            path: the directory; made if needed.
            config: what is to be trained.
            resume: go on with the run that is there, if its configuration is the same but for more epochs.

        Raises:
            UsageError: the directory holds a run and ``resume`` is not set, another configuration, a longer run, or
                other files.
            ResourceError: the directory cannot be made.
        """
        if (path / cls.CONFIG).exists():
            if not resume:
                raise UsageError(f'"{path.name}" holds a run already; add --resume to go on, or choose another -o')
            there = cls.open(path)
            differing = decisive_differences(there.config, config)
            if differing:
                raise UsageError(
                    f'the run in "{path.name}" was made with another configuration (differs in: '
                    f"{', '.join(differing)}); give the same options, or choose another -o"
                )
            planned, asked = there.config.recipe.epochs, config.recipe.epochs
            if asked < planned:
                raise UsageError(
                    f'the run in "{path.name}" is planned for {planned} epochs and has done {len(there.rows())}; '
                    f"it can be made longer, not shorter: expected --epochs {planned} or more, got {asked}"
                )
            return cls(path, msgspec.structs.replace(config, lengthened=there.config.lengthened), planned=planned)
        run = cls(make_folder(path), config)
        remove_leftovers(path)  # of a start that was killed
        others = sorted(entry.name for entry in path.iterdir() if entry.name != LOCK)
        if others:
            raise UsageError(f'"{path.name}" holds other things (such as "{others[0]}"); choose another -o')
        return run

    def start(self) -> None:
        """Writes the configuration, which makes the directory a run."""
        if not (self.path / self.CONFIG).exists():
            self._write(self.config)

    def lengthen(self, epoch: int, *, write: bool) -> None:
        """Makes the run as long as it was asked to be, and no longer "to be made longer".

        What else the configuration in the directory says stays as it is: it tells how the run began.

        Args:
            epoch: the first epoch of the longer schedule.
            write: whether this process is the one that writes.
        """
        step = Lengthening(epoch=epoch, epochs=self.planned)
        self.planned = self.config.recipe.epochs
        self.config = msgspec.structs.replace(self.config, lengthened=(*self.config.lengthened, step))
        if write:
            there = Run.open(self.path).config
            recipe = msgspec.structs.replace(there.recipe, epochs=self.planned)
            self._write(msgspec.structs.replace(there, recipe=recipe, lengthened=self.config.lengthened))

    def _write(self, config: RunConfig) -> None:
        import tomli_w

        plain = _without_none(msgspec.to_builtins(config, str_keys=True))
        if not config.lengthened:
            del plain["lengthened"]  # so that earlier versions can read it
        with atomic_write(self.path / self.CONFIG) as temporary:
            temporary.write_bytes(tomli_w.dumps(plain).encode())

    @classmethod
    def open(cls, path: Path) -> Run:
        """Opens an existing run directory.

        Raises:
            InputError: it is none, or its configuration cannot be read.
        """
        file = path / cls.CONFIG
        if not is_file(file):
            raise InputError(
                f'"{path.name or path.absolute().name}" is not a run directory: expected a {cls.CONFIG} in it; '
                "give what was --output of train-teacher or distill"
            )
        try:
            return cls(path, msgspec.convert(read_toml(file, "run configuration"), RunConfig))
        except msgspec.ValidationError as error:
            raise InputError(f'{cls.CONFIG} in "{path.name}" is not valid: {error}') from None

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Writes an epoch's row; rows of this and later epochs, left by an interrupted run, are replaced.

        A figure that there is none of (NaN) is an empty cell.
        """
        rows = [old for old in self.rows() if int(old["epoch"]) < epoch]
        figures = {key: "" if math.isnan(value) else f"{value:.6g}" for key, value in row.items()}
        rows.append({"epoch": str(epoch), **figures})
        columns = list(dict.fromkeys((*self._columns(), *rows[-1])))
        with atomic_write(self.metrics) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def _columns(self) -> list[str]:
        """Returns the columns of the metrics so far; also those that are empty in every row."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])

    def rows(self) -> list[dict[str, str]]:
        """Returns the metrics, one mapping per epoch; empty before the first epoch ended."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def _without_none(value: Any) -> Any:
    """TOML has no null: an absent key is the default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
