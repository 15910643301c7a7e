"""The facts of a run's best weights: metadata of their own file, so that both are always replaced together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from ...runtime.errors import InputError
from ...runtime.shortage import raise_shortage

METADATA_KEY = "best_weights"
_EARLIER_RECORD = "class_offsets.json"
_LONGEST_HEADER = 100_000_000  # bytes; safetensors refuses longer ones


class ClassOffsetsRecord(msgspec.Struct, frozen=True):
    """The record that a training has looked for class offsets.

    Attributes:
        epochs: number of epochs that it had done; 0 if it never has.
        dice: mean validation Dice over the organs of the best weights since then, 0…1; None without a score.
    """

    epochs: int = 0
    dice: float | None = None


class BestWeights(msgspec.Struct, frozen=True):
    """The facts of a run's best weights.

    Attributes:
        epoch: the epoch, counted from 0, that ended with these weights; None if the file does not say so.
        dice: mean validation Dice over the organs after that epoch, 0…1; None without a score.
        class_offsets: the search for class offsets, which came later.
    """

    epoch: int | None = None
    dice: float | None = None
    class_offsets: ClassOffsetsRecord = ClassOffsetsRecord()

    @property
    def final_dice(self) -> float | None:
        """Mean validation Dice over the organs, 0…1, with class offsets if there are any; None without a score."""
        return self.dice if self.class_offsets.dice is None else self.class_offsets.dice

    @property
    def has_class_offsets(self) -> bool:
        """Whether the weights have class offsets: only those that raise the Dice are kept."""
        return self.class_offsets.dice is not None and (self.dice is None or self.class_offsets.dice > self.dice)

    @classmethod
    def read(cls, path: Path) -> BestWeights:
        """Reads the facts alone, not the weights; a file that is not there yet has none.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            return msgspec.json.decode(_metadata(path).get(METADATA_KEY, "{}"), type=cls)
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.DecodeError) as error:
            raise_shortage(error, path.name)
            raise InputError(
                f'{path.name} in "{path.absolute().parent.name}" cannot be read: {error}; restore it from a backup, '
                "or train anew with another -o"
            ) from None

    @classmethod
    def of_earlier_version(cls, run: Path, rows: Sequence[Mapping[str, str]], ends: Collection[int]) -> BestWeights:
        """Returns the facts of weights that do not have them in their file, as runs did that predate this.

        Args:
            run: the run directory.
            rows: metrics of its epochs, column → text; the highest Dice counts, the later of two alike.
            ends: numbers of epochs after which the training ended; without scores, weights are kept there alone.

        Raises:
            InputError: the record of class offsets, or a Dice, cannot be read.
        """
        record = run / _EARLIER_RECORD
        try:
            offsets = msgspec.json.decode(record.read_bytes(), type=ClassOffsetsRecord) if record.exists() else None
            scores = {int(row["epoch"]): float(row["dice"]) for row in reversed(rows) if row.get("dice")}
        except (ValueError, msgspec.DecodeError) as error:
            raise InputError(
                f'{record.name} or metrics.csv in "{run.absolute().name}" is not valid: {error}; restore it'
            ) from None
        epochs = [int(row["epoch"]) for row in reversed(rows)]
        last = next((epoch for epoch in epochs if epoch + 1 in ends), epochs[0] if epochs else None)
        epoch = max(scores, key=lambda each: scores[each], default=last)
        return cls(epoch, scores.get(-1 if epoch is None else epoch), offsets or ClassOffsetsRecord())


class _Header(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict[str, str])


def _metadata(path: Path) -> dict[str, str]:
    """Returns the metadata of a safetensors file: it begins with the header's length, then comes the header as JSON.

    The package itself comes with the extra for training, without which runs can be inspected.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return msgspec.json.decode(file.read(min(length, _LONGEST_HEADER)), type=_Header).metadata
