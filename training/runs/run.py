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
from ...runtime.files.toml import read_toml
from .run_config import Lengthening, RunConfig, decisive_differences
from .sole_writer import LOCK


class ClassOffsetsRecord(msgspec.Struct, frozen=True):
    """The record that a training has looked for class offsets.

    Attributes:
        epochs: number of epochs that it had done; 0 if it never has.
        dice: mean validation Dice over the organs of the best weights since then, 0…1; None without a score.
    """

    epochs: int = 0
    dice: float | None = None


class Run:
    """An open run directory.

    Attributes:
        path: path of the directory.
        config: resolved configuration.
        planned: number of epochs of the run so far; smaller than in ``config`` if the run is to be lengthened.
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
        """Path of the weights with the best validation score; without a score, of the last weights."""
        return self.path / "best.safetensors"

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
    def class_offsets(self) -> Path:
        """Path of the record that the training has looked for class offsets."""
        return self.path / "class_offsets.json"

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

        The other options in the stored configuration stay unchanged: they describe how the run began.

        Args:
            epoch: first epoch of the longer schedule.
            write: whether this process writes the file.
        """
        step = Lengthening(epoch=epoch, epochs=self.planned)
        self.planned = self.config.recipe.epochs
        self.config = msgspec.structs.replace(self.config, lengthened=(*self.config.lengthened, step))
        if write:
            stored = Run.open(self.path).config
            recipe = msgspec.structs.replace(stored.recipe, epochs=self.planned)
            self._write(msgspec.structs.replace(stored, recipe=recipe, lengthened=self.config.lengthened))

    def record_class_offsets(self, dice: float | None) -> None:
        """Records that the training has looked for class offsets, whether the best weights got any or not.

        The configuration then asks for them, also if the run began without.

        Args:
            dice: as in `ClassOffsetsRecord`.
        """
        stored = Run.open(self.path).config
        self._write(msgspec.structs.replace(stored, recipe=msgspec.structs.replace(stored.recipe, class_offsets=True)))
        with atomic_write(self.class_offsets) as temporary:
            temporary.write_bytes(msgspec.json.encode(ClassOffsetsRecord(self.config.recipe.epochs, dice)))

    def class_offsets_record(self) -> ClassOffsetsRecord:
        """Returns the record of the last time that the training looked for class offsets.

        Raises:
            InputError: the record cannot be read.
        """
        try:
            return msgspec.json.decode(self.class_offsets.read_bytes(), type=ClassOffsetsRecord)
        except FileNotFoundError:
            return ClassOffsetsRecord()
        except msgspec.DecodeError as error:
            raise InputError(
                f'{self.class_offsets.name} in "{self.name}" is not valid: {error}; delete it, and give --resume'
            ) from None

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
                "give what was --output of train-teacher or distill"
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
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])

    def rows(self) -> list[dict[str, str]]:
        """Returns the metrics as one mapping of column → text per epoch, without empty cells."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]

    def last_loss(self) -> float:
        """Returns the mean loss of the last recorded epoch; NaN without epochs."""
        rows = self.rows()
        return float(rows[-1]["loss"]) if rows else math.nan

    def best_dice(self) -> float | None:
        """Returns the mean validation Dice over the organs of the best weights, 0…1; None without a score.

        Raises:
            InputError: a Dice is no number.
        """
        if (with_offsets := self.dice_with_class_offsets()) is not None:
            return with_offsets
        dice = float(self.best_row().get("dice", math.nan))
        return None if math.isnan(dice) else dice

    def dice_with_class_offsets(self) -> float | None:
        """Returns the mean validation Dice of the best weights with class offsets, 0…1; None without such a score.

        A run that was made longer since may have others, so that its earlier score is none.
        """
        record = self.class_offsets_record()
        return record.dice if record.epochs >= self.config.recipe.epochs else None

    def best_row(self) -> dict[str, str]:
        """Returns the metrics of the epoch whose weights are `best`; empty before the first epoch has ended.

        Class offsets came later: `class_offsets_record` has the Dice with them.

        Raises:
            InputError: a Dice is no number.
        """
        rows = self.rows()
        try:
            scored = [row for row in rows if row.get("dice")]
            best = max(reversed(scored), key=lambda row: float(row["dice"]), default=None)  # the later of two alike
        except ValueError:
            raise InputError(
                f'the metrics in "{self.name}" hold a Dice that is no number; restore metrics.csv'
            ) from None
        if best or not rows:
            return best or {}
        # Without scores, weights are kept at the end alone: a run that was made longer has those of its former end.
        lengthened = [step.epochs for step in self.config.lengthened if step.epoch >= step.epochs]
        ends = {self.config.recipe.epochs, *lengthened}
        return next((row for row in reversed(rows) if int(row["epoch"]) + 1 in ends), rows[-1])


def _without_none(value: Any) -> Any:
    """Removes None values, because TOML has no null: an absent key means the default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
