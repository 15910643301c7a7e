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
from ...runtime.files.system_files import is_file
from ...runtime.files.temporaries import remove_leftovers
from ...runtime.files.text import read_utf8
from ...runtime.files.toml import read_toml
from .best_weights import BestWeights
from .inner_runs import RUN_CONFIG, run_advice
from .run_config import Lengthening, RunConfig, decisive_differences
from .sole_writer import LOCK


class Run:
    """An open run directory.

    Attributes:
        path: path of the directory.
        config: resolved configuration.
        planned: number of epochs of the run so far; smaller than in ``config`` if the run is to be lengthened.
    """

    CONFIG = RUN_CONFIG

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
        """Path of the weights with the best validation score; without a score, of the last weights."""
        return self.path / "best.safetensors"

    @property
    def best_before(self) -> Path:
        """Path of the best weights, with class offsets, from before the run was made longer; only while that lasts."""
        return self.path / "best-before.safetensors"

    @property
    def last(self) -> Path:
        """Path of the newest checkpoint."""
        return self.path / "last.safetensors"

    @property
    def previous(self) -> Path:
        """Path of the checkpoint before the newest."""
        return self.path / "previous.safetensors"

    @property
    def incoming(self) -> Path:
        """Path of a new checkpoint until it replaces the newest."""
        return self.path / "next.safetensors"

    def checkpoints(self) -> list[Path]:
        """Returns the paths of the existing checkpoints, newest first.

        If a process is killed between the two renames of `CheckpointStore.save`, the newest has the name `incoming`.
        """
        return [path for path in (self.last, self.incoming, self.previous) if path.exists()]

    @property
    def metrics(self) -> Path:
        """Path of the metrics, a CSV file with one row per epoch."""
        return self.path / "metrics.csv"

    @property
    def pictures(self) -> Path:
        """Folder of the overlay pictures of a validation case."""
        return self.path / "pictures"

    @classmethod
    def create(cls, path: Path, config: RunConfig, *, resume: bool) -> Run:
        """Checks that a directory can be used for a run; `start` writes the configuration once the data are checked.

        Args:
            path: run directory; created if needed.
            config: configuration of the run.
            resume: whether to continue an existing run; its configuration may differ only by a smaller number of
                epochs and by options that do not affect the result (see `decisive_differences`).

        Raises:
            UsageError: the directory holds a run although ``resume`` is False, a run with another configuration or with
                more epochs, or other files.
            ResourceError: the directory cannot be created.
        """
        cls.check_unused(path, resume=resume)
        if (path / cls.CONFIG).exists():
            stored = cls.open(path)
            differing = decisive_differences(stored.config, config)
            if differing:
                raise UsageError(
                    f'the run in "{path.name}" was made with another configuration (differs in: '
                    f"{', '.join(differing)}); give the same options, or choose another -o"
                )
            planned, asked = stored.config.recipe.epochs, config.recipe.epochs
            if asked < planned:
                raise UsageError(
                    f'the run in "{path.name}" is planned for {planned} epochs and has done {len(stored.rows())}; '
                    f"it can be made longer, not shorter: expected --epochs {planned} or more, got {asked}"
                )
            return cls(path, msgspec.structs.replace(config, lengthened=stored.config.lengthened), planned=planned)
        run = cls(make_folder(path), config)
        remove_leftovers(path)  # of a start that was killed
        others = sorted(entry.name for entry in path.iterdir() if entry.name != LOCK)
        if others:
            raise UsageError(f'"{path.name}" holds other things (such as "{others[0]}"); choose another -o')
        return run

    @classmethod
    def check_unused(cls, path: Path, *, resume: bool) -> None:
        """Checks that a directory holds no run, unless that one is to be continued.

        Raises:
            UsageError: it holds a run although ``resume`` is False.
        """
        if not resume and (path / cls.CONFIG).exists():
            raise UsageError(f'"{path.name}" holds a run already; add --resume to go on, or choose another -o')

    def start(self) -> None:
        """Writes the configuration, which marks the directory as a run."""
        if not (self.path / self.CONFIG).exists():
            self._write(self.config)

    def lengthen(self, epoch: int, *, write: bool) -> None:
        """Lengthens the run to the number of epochs in its recipe and records this in the configuration.

        The other options in the stored configuration stay unchanged: they describe how the run began. An earlier
        lengthening from the same epoch or a later one, whose checkpoints are lost, is forgotten with them.

        Args:
            epoch: first epoch of the longer schedule.
            write: whether this process writes the file.
        """
        kept = [step for step in self.config.lengthened if step.epoch < epoch]
        forgotten = self.config.lengthened[len(kept) :]
        step = Lengthening(epoch=epoch, epochs=forgotten[0].epochs if forgotten else self.planned)
        self.planned = self.config.recipe.epochs
        self.config = msgspec.structs.replace(self.config, lengthened=(*kept, step))
        if write:
            stored = Run.open(self.path).config
            recipe = msgspec.structs.replace(stored.recipe, epochs=self.planned)
            self._write(msgspec.structs.replace(stored, recipe=recipe, lengthened=self.config.lengthened))

    def record_class_offsets(self, wanted: bool) -> None:
        """Writes to the configuration whether the run is to have class offsets, which may be decided at its end."""
        stored = Run.open(self.path).config
        if stored.recipe.class_offsets != wanted:
            recipe = msgspec.structs.replace(stored.recipe, class_offsets=wanted)
            self._write(msgspec.structs.replace(stored, recipe=recipe))

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
            InputError: the directory is not a run, or its configuration cannot be read.
        """
        file = path / cls.CONFIG
        if not is_file(file):
            raise InputError(
                f'"{path.name or path.absolute().name}" is not a run directory: expected a {cls.CONFIG} in it; '
                f"{run_advice(path, 'train-teacher or distill')}"
            )
        try:
            return cls(path, msgspec.convert(read_toml(file, "run configuration"), RunConfig))
        except msgspec.ValidationError as error:
            raise InputError(f'{cls.CONFIG} in "{path.name}" is not valid: {error}') from None

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Writes the metrics of an epoch and removes rows of this and later epochs left by an interrupted run.

        A missing figure (NaN) becomes an empty cell.
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
        """Returns the columns of the metrics so far, including those that are empty in every row."""
        return next(csv.reader(self._metrics_lines()), [])

    def rows(self) -> list[dict[str, str]]:
        """Returns the metrics as one mapping of column → text per epoch, without empty cells.

        Raises:
            InputError: the file cannot be read, or another program has changed its form.
        """
        found = [*csv.DictReader(self._metrics_lines())]
        if not all(_is_epoch(row) for row in found):
            raise InputError(
                f'{self.metrics.name} in "{self.name}" is not as bedside writes it: a spreadsheet may have saved it; '
                "restore it from a backup"
            )
        return [{key: value for key, value in row.items() if value} for row in found]

    def _metrics_lines(self) -> list[str]:
        if not self.metrics.exists():
            return []
        return read_utf8(self.metrics, f'{self.metrics.name} in "{self.name}"').splitlines()

    def last_loss(self) -> float:
        """Returns the mean loss of the last recorded epoch; NaN without epochs."""
        rows = self.rows()
        return float(rows[-1]["loss"]) if rows else math.nan

    def best_weights(self) -> BestWeights:
        """Returns epoch, Dice and class offsets of the best weights.

        Raises:
            InputError: their file cannot be read, or that of an earlier version about them.
        """
        weights = BestWeights.read(self.best)
        if weights.epoch is None and self.best.exists():
            lengthened = [step.epochs for step in self.config.lengthened if step.epoch >= step.epochs]
            return BestWeights.of_earlier_version(self.path, self.rows(), {self.config.recipe.epochs, *lengthened})
        return weights

    def best_row(self) -> dict[str, str]:
        """Returns the metrics of the epoch whose weights are `best`; empty if there are none.

        Class offsets came later: `best_weights` has the Dice with them.

        Raises:
            InputError: the file of the best weights cannot be read.
        """
        epoch = self.best_weights().epoch
        return next((row for row in self.rows() if row["epoch"] == str(epoch)), {})


def _is_epoch(row: dict[Any, Any]) -> bool:
    """Whether a row of the metrics has an epoch and numbers alone; a missing figure is empty."""
    try:
        int(row["epoch"])
        for value in filter(None, row.values()):
            float(value)
    except (KeyError, TypeError, ValueError):  # TypeError: more cells than columns, or fewer
        return False
    return True


def _without_none(value: Any) -> Any:
    """Removes None values, because TOML has no null: an absent key means the default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
